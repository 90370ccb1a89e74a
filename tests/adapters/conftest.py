"""Both databases and all three stores, each test on its own piece of a server that all share."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

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


def make_postgresql_database(folder: str, *, template: str = "template1") -> str:
    """Make a database as a copy of ``template`` and return its name."""
    name = f"t_{uuid4().hex[:12]}"
    url = postgresql_url(folder, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return name


@pytest.fixture(scope="session")
async def migrated_postgresql(postgresql: str) -> str:
    """Name of a migrated database, to be copied."""
    name = make_postgresql_database(postgresql)
    await migrate(postgresql_url(postgresql, name))
    return name


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
    folder: str = request.getfixturevalue("postgresql")
    return postgresql_url(folder, make_postgresql_database(folder))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database of this test's own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "conveyor.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        return f"sqlite:///{path}"
    folder: str = request.getfixturevalue("postgresql")
    template: str = request.getfixturevalue("migrated_postgresql")
    return postgresql_url(folder, make_postgresql_database(folder, template=template))


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
