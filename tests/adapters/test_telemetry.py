"""Lines of the log: of which job they are, and what they don't tell."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.common import Priority
from temporalio.testing import ActivityEnvironment

from adapters.telemetry import JsonFormatter, OwnerNames, TextFormatter

OWNER = "ada@example.com"
NAMES = OwnerNames(b"a-secret-of-the-installation")


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what was logged under ``t``, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(NAMES))
    for name in ("t", "temporalio.activity"):
        logging.getLogger(name).addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for name in ("t", "temporalio.activity"):
        logging.getLogger(name).removeHandler(handler)


async def step() -> None:
    """Log in the three ways that steps and adapters have."""
    activity.logger.warning("by the step", extra={"size_bytes": 3})
    logging.getLogger("t").warning("by an adapter")
    await asyncio.to_thread(logging.getLogger("t").warning, "by a thread")


async def run_step(owner: str | None = OWNER) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(
        ActivityEnvironment.default_info(),
        workflow_id="email-1",
        workflow_type="SendEmail",
        activity_type="emails.send",
        attempt=2,
        priority=Priority(fairness_key=owner),
    )
    await environment.run(step)


async def test_every_line_of_a_step_names_job_kind_step_attempt_and_owner(
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    await run_step()
    lines = log()
    assert len(lines) == 3
    for line in lines:
        told = {name: line[name] for name in ("job_id", "kind", "step", "attempt", "owner")}
        assert told == {
            "job_id": "email-1",
            "kind": "email",
            "step": "emails.send",
            "attempt": 2,
            "owner": NAMES.digest(OWNER),
        }
    assert lines[0]["size_bytes"] == 3
    assert OWNER not in json.dumps(lines)


async def test_a_job_without_an_owner_names_none(
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    await run_step(owner=None)
    assert [line for line in log() if "owner" in line] == []


def test_an_owner_is_the_same_in_every_process_and_not_to_be_guessed() -> None:
    assert OwnerNames(NAMES.secret).digest(OWNER) == NAMES.digest(OWNER)
    assert OwnerNames(b"another").digest(OWNER) != NAMES.digest(OWNER)


@pytest.mark.parametrize("formatter", [JsonFormatter(NAMES), TextFormatter(NAMES)])
def test_a_message_with_line_ends_is_one_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "first\nlevel=error forged", "levelname": "INFO"})
    assert "\n" not in formatter.format(record)
