"""The page of a bad day is true: its commands run, and print what it shows."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters import devserver
from jobs.client import JobClient, JobFilter
from jobs.status import JobState
from tests.authority import make_authority
from tests.end_to_end.installation import ROOT, Installation
from tests.end_to_end.story import Story, matches
from tests.mail_relay import mail_relay

MAILS = 200
REPORTS = 50
PATIENCE_S = 600


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation with a server of its own, so that the page can count all jobs there are."""
    async with await devserver.ensure(tmp_path / "server", port=0) as embedded:
        yield Installation(tmp_path, {"TEMPORAL_ADDRESS": embedded.server.address})


def write_invitations(folder: Path) -> None:
    """Write as many inputs, one a line."""
    inputs = [
        {
            "template": "notification",
            "to": f"guest{number}@example.com",
            "data": {"name": f"Guest {number}", "title": "Spring party", "message": "Do come."},
        }
        for number in range(1, MAILS + 1)
    ]
    lines = "\n".join(json.dumps(item) for item in inputs)
    (folder / "invitations.jsonl").write_text(lines)


async def until_held(town: Installation, count: int) -> None:
    """Return when so many invitations are held."""
    jobs = JobClient(await town.connect())
    wanted = JobFilter(tag=("campaign", "spring"))
    while (await jobs.release_matching(wanted, dry_run=True)).count != count:  # noqa: ASYNC110 - the server's
        await asyncio.sleep(0.2)  # between looks at the server


async def test_two_hundred_mails_that_a_relay_refused_are_released_and_arrive_once(
    town: Installation, tmp_path: Path
) -> None:
    write_invitations(town.folder)
    authority, context = make_authority(tmp_path)
    story = Story.read("The relay refuses us")

    async def play(scenes: int) -> None:
        await asyncio.to_thread(story.play, town, scenes)

    async with mail_relay(starttls=context, auth=True) as relay:

        def settings(password: str) -> dict[str, str]:
            return {
                "CONVEYOR_SMTP_URL": f"smtp://conveyor:{password}@127.0.0.1:{relay.port}",
                "CONVEYOR_SMTP_CA_FILE": str(authority),
                "CONVEYOR_ALERTS_TO": "ops@example.com",
            }

        broken = town.worker("--log-format", "text", **settings("old"))
        worker = await asyncio.to_thread(broken.__enter__)
        try:
            await play(1)
            await until_held(town, MAILS)
            await play(2)
            async with asyncio.timeout(PATIENCE_S):
                while not story.is_logged(worker.text()):  # noqa: ASYNC110 - a file
                    await asyncio.sleep(0.2)
            story.read_log(worker.text())
        finally:
            await asyncio.to_thread(broken.__exit__, None, None, None)
        assert relay.received == []
        mended = town.worker(**settings(relay.password))
        await asyncio.to_thread(mended.__enter__)
        try:
            await play(1)
            await until_held(town, MAILS - 1)
            await play(1)
            async with asyncio.timeout(PATIENCE_S):
                await relay.until(MAILS)
            async with asyncio.timeout(PATIENCE_S):
                await until_ended(town, JobState.COMPLETED, MAILS)
            await play(1)
        finally:
            await asyncio.to_thread(mended.__exit__, None, None, None)
    assert len({mail.recipient for mail in relay.received}) == MAILS
    assert len(relay.received) == MAILS
    assert story.scenes == []


def release(folder: Path) -> Path:
    """Copy what is deployed, so that it can be broken."""
    for name in ("activities", "adapters", "cli", "jobs", "migrations", "templates", "workflows"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def collected(town: Installation) -> dict[str, int]:
    """Return when the figures of each report were stored, in nanoseconds."""
    figures = (town.folder / "data" / "storage" / "jobs").glob("report-march-*/figures-*.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in figures}


async def until_ended(town: Installation, state: JobState, count: int) -> None:
    """Return when so many jobs, and no others, have ended so, and the index knows of it."""
    jobs = JobClient(await town.connect())
    while True:
        counted = {row.state: row.count for row in await jobs.count("state")}
        if counted == {state.value: count}:
            return
        await asyncio.sleep(0.2)


async def test_fifty_reports_that_a_template_broke_go_on_without_collecting_again(
    town: Installation, tmp_path: Path
) -> None:
    town.code = release(tmp_path / "release")
    report = {"type": "users", "start": "2027-03-01", "end": "2027-03-31", "formats": ["html"]}
    (town.folder / "reports.jsonl").write_text("\n".join([json.dumps(report)] * REPORTS))
    template = town.code / "templates" / "reports" / "report.html"
    whole = template.read_text()
    template.write_text(whole.replace("<body>", "<body>{{ no_such_name }}"))
    story = Story.read("A template breaks")

    async def play(scenes: int) -> None:
        await asyncio.to_thread(story.play, town, scenes)

    broken = town.worker()
    await asyncio.to_thread(broken.__enter__)
    try:
        await play(1)
        async with asyncio.timeout(PATIENCE_S):
            await until_ended(town, JobState.FAILED, REPORTS)
        await play(3)
    finally:
        await asyncio.to_thread(broken.__exit__, None, None, None)
    first = collected(town)
    assert len(first) == REPORTS
    template.write_text(whole)
    mended = town.worker()
    await asyncio.to_thread(mended.__enter__)
    try:
        await play(2)
        async with asyncio.timeout(PATIENCE_S):
            await until_ended(town, JobState.COMPLETED, REPORTS)
        await play(1)
    finally:
        await asyncio.to_thread(mended.__exit__, None, None, None)
    assert collected(town) == first, "no figures were stored again"
    assert story.scenes == []


def test_a_page_that_shows_something_else_is_found_out() -> None:
    assert matches("STATE  COUNT\nheld …", "STATE COUNT\nheld   200\n")
    assert not matches("STATE  COUNT\nheld …", "STATE COUNT\nfailed 200\n")
