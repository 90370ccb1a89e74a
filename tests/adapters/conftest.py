"""Both databases and all three stores, each test on its own piece of a server that all share."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.database import Database, migrate
from adapters.storage import Storage
from tests.servers import S3Server, ServerMissingError, postgresql_server, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3-compatible store."""
    try:
        with s3_server() as server:
            yield server
    except ServerMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The folder of a real PostgreSQL's socket."""
    try:
        with postgresql_server() as folder:
            yield folder
    except ServerMissingError as error:
        pytest.skip(str(error))


def postgresql_url(folder: str, name: str) -> str:
    """Return the URL of database ``name`` of the server in ``folder``."""
    return f"postgresql://postgres@/{name}?host={folder}"


def make_postgresql_database(folder: str) -> str:
    """Make an empty database and return its URL."""
    name = f"t_{uuid4().hex[:12]}"
    with psycopg.connect(postgresql_url(folder, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgresql_url(folder, name)


def empty_tables(url: str) -> None:
    """Delete every row of the migrated PostgreSQL database at ``url``.

    A new database for each test would take fifty times as long.
    """
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # in any order
        connection.execute("SET lock_timeout = '60s'")
        found = connection.execute(
            "SELECT tablename FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        for (table,) in found.fetchall():
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


@pytest.fixture(scope="session")
async def migrated_postgresql(postgresql: str) -> str:
    """The URL of a migrated database, which the tests use one after the other."""
    url = make_postgresql_database(postgresql)
    await migrate(url)
    return url


@pytest.fixture(scope="session")
async def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "conveyor.db"
    await migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that was never migrated, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'conveyor.db'}"
    return make_postgresql_database(request.getfixturevalue("postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "conveyor.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    url: str = request.getfixturevalue("migrated_postgresql")
    yield url
    empty_tables(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The same, open."""
    database = Database.open(database_url)
    yield database
    await database.close()


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store: a local folder, memory, and a prefix of a real S3 bucket."""
    match request.param:
        case "local":
            return Storage.open(f"file://{tmp_path / 'objects'}")
        case "memory":
            return Storage.open("memory:")
        case _:
            return open_s3(request.getfixturevalue("s3"), prefix=uuid4().hex)


def open_s3(server: S3Server, *, prefix: str, secret: str | None = None) -> Storage:
    """Open ``prefix`` of the server's bucket, with another secret if one is given."""
    return Storage.open(
        f"s3://{server.bucket}/{prefix}",
        endpoint=server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=secret or server.secret_access_key,
    )
