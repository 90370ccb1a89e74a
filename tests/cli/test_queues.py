"""``starter.py queues``, ``limits``, ``pause`` and ``resume`` against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.client import Client
from typer.testing import CliRunner

import exits
from cli.app import app
from jobs.base import Queue
from jobs.client.limits import resume
from jobs.errors import ConflictError
from tests.end_to_end.installation import Answer

Cli = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def cli(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cli]:
    """Runs ``starter.py`` on the tests' server; batches go on afterwards."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    monkeypatch.setenv("CONVEYOR_DATA_DIR", str(tmp_path))

    async def run(*arguments: str) -> Answer:
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        code, err = result.exit_code, result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            code, err = exits.code_for(result.exception), f"{err}{result.exception}"
        return Answer(code, result.stdout, err)

    yield run
    try:
        await resume(client, Queue.BATCHES)
    except ConflictError:
        return


def states(answer: Answer) -> dict[str, str]:
    """Return the last column of a table, by queue."""
    rows = [line.split("\t") for line in answer.out.splitlines()]
    return {row[0]: row[-1] for row in rows}


async def test_a_pause_is_shown_with_reason_author_and_end_until_the_queue_goes_on(
    cli: Cli,
) -> None:
    paused = await cli("pause", "batches", "--reason", "a deploy", "--by", "ada", "--for", "2h")
    during = states(await cli("queues"))
    resumed = await cli("resume", "batches")
    after = states(await cli("queues"))

    assert (paused.code, resumed.code) == (exits.OK, exits.OK)
    assert list(during) == list(Queue)
    assert during["batches"].startswith("paused by ada: a deploy, ends in ")
    assert after["batches"] == "no worker"


async def test_a_limit_is_shown_with_reason_and_author_until_it_is_taken_away(
    cli: Cli,
) -> None:
    told = "--reason", "plan", "--by", "ada"
    limit = "limits", "set", "batches", *told, "--json", "--rate"
    limited = (await cli(*limit, "10/m")).json()
    shown = (await cli("limits", "show")).out.splitlines()[-1]
    freed = (await cli(*limit, "none")).json()

    assert limited["rate"] == pytest.approx(1 / 6)
    assert shown.split("\t")[:4] == ["batches", "10/m", "plan", "ada"]
    assert freed["rate"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["pause", "batch", "--reason", "x"], exits.INVALID, "did you mean 'batches'?"),
        (["pause", "batches", "--reason", "x", "--for", "soon"], exits.INVALID, "write a span"),
        (["limits", "set", "batches", "--rate=-1", "--reason", "x"], exits.INVALID, "as 10/m"),
        (["limits", "set", "batches", "--rate=0/s", "--reason", "x"], exits.INVALID, "above 0"),
        (["resume", "images"], exits.CONFLICT, "'images' is not paused"),
    ],
)
async def test_what_can_not_be_done_is_told_in_one_line_and_changes_nothing(
    cli: Cli, arguments: list[str], code: int, told: str
) -> None:
    before = json.loads((await cli("limits", "show", "--json")).out)["queues"]
    refused = await cli(*arguments)
    after = json.loads((await cli("limits", "show", "--json")).out)["queues"]

    assert (refused.code, len(refused.err.splitlines())) == (code, 1)
    assert told in refused.err
    assert [(q["rate"], q["paused"]) for q in after] == [(q["rate"], q["paused"]) for q in before]
