"""The application database on SQLite and PostgreSQL: one behaviour."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table, Text, delete, func, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import Database, engine
from adapters.database.metadata import from_micros, metadata, to_micros
from adapters.database.sqlite import connect
from adapters.database.users import Users, load_demo
from jobs.errors import DatabaseFull, DatabaseOutdated, DatabaseRefused, DatabaseUnavailable
from tests.adapters.conftest import postgresql_url

SIDES = ("left", "right")

counters = Table(
    "counters",
    metadata.__class__(),
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)


@pytest.fixture
async def counting(database: Database) -> AsyncIterator[Database]:
    """The database with an empty table ``counters``."""
    async with database.begin() as connection:
        await connection.run_sync(counters.create)
    yield database
    async with database.begin() as connection:
        await connection.run_sync(counters.drop)


async def put(database: Database, name: str, value: int = 0) -> None:
    """Insert one counter."""
    async with database.begin() as connection:
        await connection.execute(counters.insert(), {"name": name, "value": value})


async def names(database: Database) -> list[str]:
    """Return the names of all counters, sorted."""
    async with database.snapshot() as connection:
        return list(await connection.scalars(select(counters.c.name).order_by(counters.c.name)))


async def test_what_a_transaction_wrote_is_there_after_it(counting: Database) -> None:
    await put(counting, "a", 1)

    assert await names(counting) == ["a"]


async def test_a_transaction_that_fails_leaves_nothing(counting: Database) -> None:
    async def write_and_fail() -> None:
        async with counting.begin() as connection:
            await connection.execute(counters.insert(), {"name": "a", "value": 1})
            raise RuntimeError("the body's own")

    with pytest.raises(RuntimeError, match="the body's own"):
        await write_and_fail()

    assert await names(counting) == []


async def test_many_that_read_and_then_write_lose_no_update(
    counting: Database, database_url: str
) -> None:
    await put(counting, "a")
    another = Database.open(database_url)

    async def add_one(database: Database) -> None:
        async with database.begin() as connection:
            value = await connection.scalar(select(counters.c.value).with_for_update())
            assert value is not None
            await connection.execute(update(counters).values(value=value + 1))

    await asyncio.gather(*(add_one(each) for _ in range(20) for each in (counting, another)))
    await another.close()

    async with counting.snapshot() as connection:
        assert await connection.scalar(select(counters.c.value)) == 40


async def test_a_snapshot_sees_one_state_while_others_write(counting: Database) -> None:
    await put(counting, "a")

    async with counting.snapshot() as connection:
        before = await connection.scalar(select(func.count()).select_from(counters))
        await put(counting, "b")
        async with counting.begin() as writing:
            await writing.execute(delete(counters).where(counters.c.name == "a"))
        after = await connection.scalar(select(func.count()).select_from(counters))
        seen = list(await connection.scalars(select(counters.c.name)))

    assert (before, after, seen) == (1, 1, ["a"])
    assert await names(counting) == ["b"]


async def test_a_snapshot_writes_nothing(counting: Database) -> None:
    with pytest.raises((DatabaseRefused, DatabaseUnavailable)):
        async with counting.snapshot() as connection:
            await connection.execute(counters.insert(), {"name": "a", "value": 1})

    assert await names(counting) == []


async def test_a_result_is_the_same_at_once_in_parts_and_one_by_one(counting: Database) -> None:
    async with counting.begin() as connection:
        rows = [{"name": f"{number:04}", "value": number} for number in range(1000)]
        await connection.execute(counters.insert(), rows)
    query = select(counters.c.value).order_by(counters.c.name)

    async with counting.snapshot() as connection:
        at_once = list(await connection.scalars(query))
        streamed = await connection.stream(query.execution_options(yield_per=300))
        parts = [[row.value for row in part] async for part in streamed.partitions(300)]
        first = (await connection.execute(query)).first()
        one_by_one = [row.value async for row in await connection.stream(query)]

    assert at_once == one_by_one == [value for part in parts for value in part]
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    assert at_once == list(range(1000))
    assert first is not None
    assert first.value == 0


async def test_an_insert_knows_what_to_do_on_conflict(counting: Database) -> None:
    await put(counting, "a", 1)
    ignore = counting.insert(counters).on_conflict_do_nothing()
    insert = counting.insert(counters)
    overwrite = insert.on_conflict_do_update(
        index_elements=[counters.c.name], set_={"value": insert.excluded.value}
    )

    async with counting.begin() as connection:
        ignored = await connection.execute(ignore, {"name": "a", "value": 2})
        overwritten = await connection.execute(overwrite, {"name": "a", "value": 3})
        value = await connection.scalar(select(counters.c.value))

    assert (ignored.rowcount, overwritten.rowcount, value) == (0, 1, 3)


async def test_a_refused_statement_is_named_without_its_values(counting: Database) -> None:
    await put(counting, "ada@example.com")

    with pytest.raises(DatabaseRefused, match="counters") as caught:
        await put(counting, "ada@example.com")
    assert "ada@example.com" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_missing_table_asks_for_the_migrations(database: Database) -> None:
    for block in (database.begin(), database.snapshot()):
        with pytest.raises(DatabaseOutdated, match=r"`starter.py setup`"):
            async with block as connection:
                await connection.execute(select(counters))


async def test_a_cancelled_transaction_is_undone_and_holds_nothing(counting: Database) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with counting.begin() as connection:
            await connection.execute(counters.insert(), {"name": "a", "value": 1})
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await put(counting, "b")
    assert await names(counting) == ["b"]


async def test_a_transaction_cancelled_at_any_moment_is_whole_or_undone(
    counting: Database,
) -> None:
    async def write_two(name: str) -> None:
        async with counting.begin() as connection:
            for side in SIDES:
                await connection.execute(counters.insert(), {"name": f"{name}-{side}", "value": 1})

    for moment in range(60):
        task = asyncio.create_task(write_two(f"{moment}"))
        for _ in range(moment % 12):
            await asyncio.sleep(0)
        await asyncio.sleep(moment // 12 * 0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await write_two("last")

    found = await names(counting)
    halves = [{name.partition("-")[0] for name in found if side in name} for side in SIDES]
    assert halves[0] == halves[1]
    assert "last" in halves[0]


async def test_a_statement_that_sqlite_runs_after_its_task_was_cancelled_is_undone(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "conveyor.db")
    connection = connect(path, pragmas=(), timeout=1.0, isolation_level=None)
    await connection
    await connection.cursor().execute("CREATE TABLE t (x)")
    thread_may_go_on = threading.Event()
    connection._tx.put_nowait((None, thread_may_go_on.wait))

    connection.begin_with_next("BEGIN IMMEDIATE")
    task = asyncio.create_task(connection.cursor().execute("INSERT INTO t VALUES (1)"))
    await asyncio.sleep(0)
    task.cancel()
    undoing = asyncio.create_task(connection.rollback())
    await asyncio.sleep(0)
    thread_may_go_on.set()
    await undoing

    count = await connection.cursor().execute("SELECT count(*) FROM t")
    assert await count.fetchone() == (0,)
    assert not connection.in_transaction
    await connection.close()


async def test_the_database_is_checked(database: Database) -> None:
    await database.check()


async def test_connections_that_the_server_has_cut_are_replaced(
    postgresql: str, migrated_postgresql: str
) -> None:
    database = Database.open(migrated_postgresql)
    administration = Database.open(postgresql_url(postgresql, "postgres"))
    await database.check()
    async with administration.begin() as connection:
        cut = text(
            "SELECT count(pg_terminate_backend(pid, 60_000)) FROM pg_stat_activity "
            "WHERE datname = :name"
        )
        cut_off = await connection.scalar(cut, {"name": make_url(migrated_postgresql).database})
    await administration.close()

    await database.check()
    await database.close()
    assert cut_off >= 1  # ours, and whatever else was on the database just then


async def test_a_transaction_of_a_frozen_worker_does_not_hold_its_rows_for_ever(
    postgresql: str,
) -> None:
    database = Database.open(postgresql_url(postgresql, "postgres"))

    async def idle_limit(connection: AsyncConnection) -> str:
        return str(await connection.scalar(text("SHOW idle_in_transaction_session_timeout")))

    async with database.begin() as connection:
        assert await idle_limit(connection) == "1min"
    async with database.snapshot() as connection:
        assert await idle_limit(connection) == "15min"
    async with database.begin() as connection:
        assert await idle_limit(connection) == "1min"
    await database.close()


async def test_a_server_that_is_away_is_worth_another_attempt(tmp_path: Path) -> None:
    database = Database.open(f"postgresql://ada:secret@/ledger?host={tmp_path}")

    with pytest.raises(DatabaseUnavailable) as caught:
        await database.check()
    assert not {"ada", "secret", "ledger", str(tmp_path)} & set(str(caught.value).split())
    await database.close()


async def test_a_file_that_can_not_be_made_is_worth_another_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database.open(f"sqlite:///{tmp_path}/file/conveyor.db")

    with pytest.raises(DatabaseUnavailable, match="SQLITE_CANTOPEN") as caught:
        await database.check()
    assert str(tmp_path) not in str(caught.value)
    await database.close()


async def test_a_database_without_room_says_so(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/conveyor.db")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE heap (stuff BLOB)"))

    async def fill() -> None:
        async with database.begin() as connection:
            await connection.execute(text("PRAGMA max_page_count=3"))
            await connection.execute(text("INSERT INTO heap VALUES (zeroblob(100000))"))

    with pytest.raises(DatabaseFull, match="SQLITE_FULL"):
        await fill()
    await database.close()


async def test_a_file_that_another_process_locks_too_long_is_worth_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.1)
    path = tmp_path / "conveyor.db"
    database = Database.open(f"sqlite:///{path}")
    await database.check()

    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        async with database.snapshot() as connection:  # reading goes on
            await connection.execute(select(1))
        with pytest.raises(DatabaseUnavailable, match="SQLITE_BUSY"):
            await database.check()
        another.execute("ROLLBACK")

    await database.check()
    await database.close()


async def test_a_statement_after_a_refused_begin_still_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.1)
    path = tmp_path / "conveyor.db"
    database = Database.open(f"sqlite:///{path}")
    await database.check()

    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        async with database.begin() as connection:
            with pytest.raises(Exception, match="database is locked"):
                await connection.execute(select(1))
            another.execute("ROLLBACK")
            await connection.run_sync(counters.create)
            await connection.rollback()

    async with database.snapshot() as connection:
        tables = await connection.scalars(text("SELECT name FROM sqlite_schema"))
        assert list(tables) == []
    await database.close()


async def test_a_sqlite_file_is_private_and_survives_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "data" / "conveyor.db"
    database = Database.open(f"sqlite:///{path}")

    async with database.begin() as connection:
        settings = [
            await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    await database.close()
    assert settings == ["wal", 2, 1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://root:secret@host/x", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_of_another_database_is_refused_with_the_fix(url: str) -> None:
    with pytest.raises(ValueError, match="write sqlite:///path or postgresql://user") as caught:
        Database.open(url)
    assert "secret" not in str(caught.value)


async def test_the_directory_finds_whom_it_has(database: Database) -> None:
    assert await load_demo(database) == await load_demo(database) == 10

    ada = await Users(database).find("ada")
    assert ada is not None
    assert (ada.email, ada.name, ada.time_zone) == (
        "ada@example.com",
        "Ada Lovelace",
        "Europe/London",
    )
    assert await Users(database).find("nobody") is None


async def test_an_entry_put_again_is_overwritten_but_for_its_birth(database: Database) -> None:
    await load_demo(database)
    directory = Users(database)
    ada = await directory.find("ada")
    assert ada is not None
    changed = {"email": "countess@example.com", "created_at": from_micros(0)}

    await directory.put([ada.model_copy(update=changed)])

    again = await directory.find("ada")
    assert again is not None
    assert (again.email, again.created_at) == ("countess@example.com", ada.created_at)


def test_an_instant_is_stored_to_the_microsecond_and_needs_an_offset() -> None:
    stored = 1_764_000_000_123_456

    assert to_micros(from_micros(stored)) == stored
    with pytest.raises(ValueError, match="needs an offset"):
        to_micros(from_micros(stored).replace(tzinfo=None))
