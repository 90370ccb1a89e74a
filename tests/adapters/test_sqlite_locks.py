"""SQLite's locks belong to the process: what must not drop them."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from adapters.database import Database

WRITE_AND_LEAVE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO things VALUES (1)")
connection.commit()
connection.close()
"""


async def test_another_process_that_leaves_does_not_take_the_log_of_our_open_connections(
    tmp_path: Path,
) -> None:
    path = tmp_path / "conveyor.db"
    database = Database.open(f"sqlite:///{path}")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE things (n INTEGER)"))
    async with database.snapshot() as connection:  # a second connection to the same file
        await connection.execute(text("SELECT n FROM things"))
    command = [sys.executable, "-c", WRITE_AND_LEAVE, str(path)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    assert path.with_name("conveyor.db-wal").exists()
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO things VALUES (2)"))
    await database.close()
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT n FROM things ORDER BY n").fetchall() == [(1,), (2,)]
    reader.close()
