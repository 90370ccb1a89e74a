"""Migrations on SQLite and PostgreSQL, from empty and step by step."""

import asyncio
import importlib
import pkgutil
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

import adapters.database
from adapters.database import Database, metadata, migrate, pending
from adapters.database.migrate import MigrationError

CHAIN = [
    "0001_users",
    "0002_emails",
    "0003_images",
    "0004_webhooks",
    "0005_shop",
    "0006_reports",
    "0007_transfers",
    "0008_access",
    "0009_batches",
]
"""Part of every database that was ever migrated: only added to."""


async def schema(url: str) -> set[str]:
    """Return the names of the tables at ``url``."""
    database = Database.open(url)
    async with database.begin() as connection:
        tables = await connection.run_sync(lambda each: inspect(each).get_table_names())
    await database.close()
    return set(tables)


async def differences(url: str) -> list[Any]:
    """Return what a generated migration would still change at ``url``."""
    for module in pkgutil.walk_packages(adapters.database.__path__, "adapters.database."):
        importlib.import_module(module.name)

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    database = Database.open(url)
    async with database.begin() as connection:
        found = await connection.run_sync(compare)
    await database.close()
    return found


async def test_an_empty_database_is_brought_up_to_date_once(empty_database_url: str) -> None:
    assert await pending(empty_database_url) == CHAIN

    await migrate(empty_database_url)
    await migrate(empty_database_url)

    assert await pending(empty_database_url) == []
    assert "users" in await schema(empty_database_url)


async def test_asking_what_is_pending_makes_no_file(tmp_path: Path) -> None:
    assert await pending(f"sqlite:///{tmp_path}/none/conveyor.db") == CHAIN

    assert not (tmp_path / "none").exists()


async def test_the_migrated_schema_is_what_the_code_declares(empty_database_url: str) -> None:
    await migrate(empty_database_url)

    assert await differences(empty_database_url) == []


async def test_each_migration_follows_the_one_before(empty_database_url: str) -> None:
    for position, revision in enumerate(CHAIN, start=1):
        await migrate(empty_database_url, revision)
        assert await pending(empty_database_url) == CHAIN[position:]


async def test_every_migration_can_be_undone(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_database_url)

    monkeypatch.setattr(command, "upgrade", command.downgrade)
    await migrate(empty_database_url, "base")

    assert await schema(empty_database_url) == {"alembic_version"}
    assert await pending(empty_database_url) == CHAIN


async def test_two_processes_may_migrate_at_once(empty_database_url: str) -> None:
    program = (
        "import asyncio, sys; from adapters.database import migrate; "
        "asyncio.run(migrate(sys.argv[1]))"
    )

    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_database_url)
        for _ in range(3)
    ]

    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert await pending(empty_database_url) == []


async def test_two_tasks_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))

    assert await pending(empty_database_url) == []


@pytest.fixture
def extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, used in their place, to add one to."""
    copy = shutil.copytree("migrations", tmp_path / "100 % ours" / "migrations")
    monkeypatch.setattr(sys.modules["adapters.database.migrate"], "MIGRATIONS", copy)
    return copy / "versions"


ADDED = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999_added", "{last}", None, None

def upgrade():
    op.create_table("added", sa.Column("id", sa.Text, primary_key=True))
    {then}
"""


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    empty_database_url: str, extended: Path
) -> None:
    await migrate(empty_database_url, "0003_images")
    before = await schema(empty_database_url)
    (extended / "9999_added.py").write_text(
        ADDED.format(last=CHAIN[-1], then='raise RuntimeError("its own")')
    )

    with pytest.raises(RuntimeError, match="its own"):
        await migrate(empty_database_url)

    assert await schema(empty_database_url) == before
    assert await pending(empty_database_url) == [*CHAIN[3:], "9999_added"]


async def test_a_database_of_a_newer_version_is_left_alone(
    empty_database_url: str, extended: Path
) -> None:
    (extended / "9999_added.py").write_text(ADDED.format(last=CHAIN[-1], then="pass"))
    await migrate(empty_database_url)
    (extended / "9999_added.py").unlink()

    assert await pending(empty_database_url) == []
    with pytest.raises(MigrationError, match="9999_added, which this version doesn't know"):
        await migrate(empty_database_url)


async def test_a_migration_of_sqlite_that_orphans_rows_is_refused(
    tmp_path: Path, extended: Path
) -> None:
    url = f"sqlite:///{tmp_path}/conveyor.db"
    await migrate(url)
    then = """op.execute("CREATE TABLE child (id TEXT REFERENCES added (id))")
    op.execute("INSERT INTO child VALUES ('orphan')")"""
    (extended / "9999_added.py").write_text(ADDED.format(last=CHAIN[-1], then=then))

    with pytest.raises(MigrationError, match="rows of child without their rows of added"):
        await migrate(url)
    assert await pending(url) == ["9999_added"]


async def test_sqlite_copies_a_table_without_losing_what_refers_to_it(
    tmp_path: Path, extended: Path
) -> None:
    url = f"sqlite:///{tmp_path}/conveyor.db"
    then = """op.execute("INSERT INTO added VALUES ('a')")
    op.execute("CREATE TABLE child (id TEXT REFERENCES added (id) ON DELETE CASCADE)")
    op.execute("INSERT INTO child VALUES ('a')")
    with op.batch_alter_table("added", recreate="always") as table:
        table.add_column(sa.Column("note", sa.Text, nullable=False, server_default=""))"""
    (extended / "9999_added.py").write_text(ADDED.format(last=CHAIN[-1], then=then))

    await migrate(url)

    database = Database.open(url)
    async with database.snapshot() as connection:
        assert list(await connection.scalars(text("SELECT id FROM child"))) == ["a"]
    await database.close()
