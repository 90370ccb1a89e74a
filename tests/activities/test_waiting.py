"""A step that waits for the database says that it lives, as its worker is wired."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from activities import progress
from activities.interceptor import StepInterceptor
from activities.progress import report
from adapters.database import Database, engine
from equipment import open_adapters
from jobs.errors import DatabaseUnavailable
from jobs.status import Progress
from settings import Settings

NOTE = text("CREATE TABLE IF NOT EXISTS notes (n INTEGER)")


class Step(ActivityInboundInterceptor):
    """The innermost interceptor: runs the step itself."""

    def __init__(self) -> None:
        """There is no other one."""

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await input.fn(*input.args)


async def write(database: Database) -> None:
    report(1, 2, message="half")
    async with database.begin() as connection:
        await connection.execute(NOTE)


async def carry_out(
    database: Database,
    on_beat: Callable[[Progress], None],
    *,
    heartbeat_timeout: timedelta | None = timedelta(seconds=10),
) -> None:
    """Run ``write`` as a worker does."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=heartbeat_timeout)
    environment.on_heartbeat = lambda *details: on_beat(details[0])
    intercepted = StepInterceptor().intercept_activity(Step())
    given = ExecuteActivityInput(fn=write, args=[database], executor=None, headers={})
    await environment.run(intercepted.execute_activity, given)


async def test_a_step_that_waits_for_a_locked_database_repeats_what_it_said_last(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path)
    beats: list[Progress] = []
    async with open_adapters(settings) as adapters:
        with closing(sqlite3.connect(tmp_path / "conveyor.db", isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")

            def on_beat(progress: Progress) -> None:
                beats.append(progress)
                if len(beats) == 2:  # the step's own, and one while it waits
                    another.execute("ROLLBACK")

            await carry_out(adapters.database, on_beat)
    assert [(beat.done, beat.total, beat.message) for beat in beats[:2]] == [(1, 2, "half")] * 2


async def test_a_step_that_waits_for_longer_than_a_database_can_take_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.5)
    monkeypatch.setattr(engine, "STANDSTILL_S", 0)
    monkeypatch.setattr(progress, "WAIT_BEAT_INTERVAL_S", 0.01)
    beats: list[Progress] = []
    database = Database.open(f"sqlite:///{tmp_path}/conveyor.db", patience=progress.repeating)
    await database.check()
    with closing(sqlite3.connect(tmp_path / "conveyor.db", isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="away or locked"):
            await carry_out(database, beats.append)
    await database.close()
    assert len(beats) == 1


async def test_a_step_that_needs_no_heartbeats_sends_none_while_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.5)
    monkeypatch.setattr(progress, "WAIT_BEAT_INTERVAL_S", 0.01)
    beats: list[Progress] = []
    database = Database.open(f"sqlite:///{tmp_path}/conveyor.db", patience=progress.repeating)
    await database.check()
    with closing(sqlite3.connect(tmp_path / "conveyor.db", isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="away or locked"):
            await carry_out(database, beats.append, heartbeat_timeout=None)
    await database.close()
    assert len(beats) == 1
