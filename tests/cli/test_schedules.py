"""``starter.py schedules`` against a real server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecution
from typer.testing import CliRunner

import exits
from cli.app import app


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> dict[str, list[str]]:
        """The lines of the table, by their first cell."""
        cells = [line.split("\t") for line in self.out.splitlines()]
        return {row[0]: row[1:] for row in cells}


Cli = Callable[..., Awaitable[Answer]]


@pytest.fixture
def cli(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs ``starter.py schedules`` on the server of the tests, in a thread with its own loop."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    monkeypatch.setenv("CONVEYOR_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str) -> Answer:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["schedules", *arguments])
        code, err = result.exit_code, result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            code, err = exits.code_for(result.exception), f"{err}{result.exception}"
        return Answer(code, result.stdout, err)

    return run


@pytest.fixture
def file(tmp_path: Path, unique: str) -> Path:
    """A ``schedules.toml`` in the folder where commands run."""
    path = tmp_path / "schedules.toml"
    path.write_text(
        f'[[schedule]]\nid = "{unique}"\ncron = "0 9 * * *"\ntime_zone = "Europe/Berlin"\n'
        '[[schedule.reports]]\ntype = "sales"\nperiod = "yesterday"\n'
    )
    return path


@pytest.fixture
def wrong_file(tmp_path: Path) -> Path:
    """A file whose cron expression is none."""
    path = tmp_path / "wrong.toml"
    path.write_text('[[schedule]]\nid = "x"\ncron = "9 o\'clock"\ntime_zone = "UTC"\n')
    return path


@pytest.mark.usefixtures("file")
async def test_apply_says_what_it_does_and_does_nothing_twice(cli: Cli, unique: str) -> None:
    dry, first, second = [await cli("apply", *flags) for flags in (("--dry-run",), (), ())]
    assert [answer.rows[unique][0] for answer in (dry, first, second)] == [
        "create",
        "create",
        "keep",
    ]
    assert "nothing was changed (--dry-run)" in dry.err


@pytest.mark.usefixtures("file")
async def test_a_paused_schedule_is_listed_with_its_reason(cli: Cli, unique: str) -> None:
    await cli("apply")
    assert (await cli("pause", unique, "--reason", "year-end closing")).code == 0
    assert (await listed(cli, unique))[3] == "paused: year-end closing"
    await cli("resume", unique)
    assert "paused" not in (await listed(cli, unique))[3]


async def listed(cli: Cli, schedule_id: str) -> list[str]:
    """Return a schedule's line of the list, when the index knows of the schedule."""
    async with asyncio.timeout(120):
        while schedule_id not in (rows := (await cli("list")).rows):  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    return rows[schedule_id]


@pytest.mark.usefixtures("file")
async def test_a_preview_shows_both_clocks_over_a_change(cli: Cli, unique: str) -> None:
    await cli("apply")
    answer = await cli("preview", unique, "--from", "2027-03-27", "--count", "3")
    assert answer.out.splitlines() == [
        "Sat 2027-03-27 09:00 +01:00\t2027-03-27T08:00Z",
        "Sun 2027-03-28 09:00 +02:00\t2027-03-28T07:00Z",
        "Mon 2027-03-29 09:00 +02:00\t2027-03-29T07:00Z",
    ]
    as_json = json.loads((await cli("preview", unique, "--from", "2027-03-28", "--json")).out)
    assert as_json["times"][0] == "2027-03-28T07:00:00+00:00"


@pytest.mark.usefixtures("file")
async def test_a_backfill_is_listed_before_it_is_run(cli: Cli, client: Client, unique: str) -> None:
    await cli("apply")
    days = ("--from", "2026-03-28", "--to", "2026-03-29")
    dry = await cli("backfill", unique, *days, "--dry-run")
    assert [line.split("\t")[1] for line in dry.out.splitlines()] == [
        "2026-03-28T08:00Z",
        "2026-03-29T07:00Z",
    ]
    assert "2 runs; nothing was started" in dry.err
    assert "2 runs were started" in (await cli("backfill", unique, *days, "-y")).err
    runs: list[WorkflowExecution] = []
    async with asyncio.timeout(120):
        while len(runs) < 2:
            query = f"TemporalScheduledById = '{unique}'"
            runs = [run async for run in client.list_workflows(query)]
            await asyncio.sleep(0.1)  # the index lags a few milliseconds
    assert {run.id for run in runs} == {
        f"{unique}-2026-03-28T08:00:00Z",
        f"{unique}-2026-03-29T07:00:00Z",
    }
    for run in runs:
        await client.get_workflow_handle(run.id).terminate()


async def test_what_is_wrong_has_an_exit_code_and_a_fix(
    cli: Cli, wrong_file: Path, unique: str
) -> None:
    unknown = await cli("show", unique)
    assert (unknown.code, "schedules list" in unknown.err) == (3, True)
    wrong = await cli("apply", str(wrong_file))
    assert wrong.code == 2
    assert 'schedule.0.cron: "9 o\'clock" has 2 fields; write five' in wrong.err
