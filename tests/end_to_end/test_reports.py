"""Reports through worker processes: files, mail, schedule, and a worker killed in the middle."""

import asyncio
import csv
import hashlib
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from adapters.database import Database, migrate, shop_demo
from jobs.status import JobState
from tests.end_to_end.installation import PATIENCE_S, Installation

pytestmark = pytest.mark.slow

FORMATS = 'formats:=["pdf","html","xlsx","csv","json"]'
LAST_MONTH = ("report", "type=sales", "period=last_month", "time_zone=Europe/Berlin", FORMATS)


@pytest.fixture
def shop(installation: Installation) -> Installation:
    """An installation whose database has the demo shop."""
    folder = installation.folder / "data"
    folder.mkdir()
    url = f"sqlite:///{folder / 'conveyor.db'}"

    async def load() -> None:
        await migrate(url)
        database = Database.open(url)
        await shop_demo.load_demo(database, datetime.now(UTC))
        await database.close()

    asyncio.run(load())
    return installation


def stored(installation: Installation, file: dict[str, Any]) -> bytes:
    """Return a file of a report, whose hash must be the promised one."""
    data = (installation.folder / "data" / "storage" / str(file["key"])).read_bytes()
    assert hashlib.sha256(data).hexdigest() == file["sha256"]
    return data


def mails(installation: Installation, address: str) -> list[Path]:
    """The mails to an address: others may be of jobs left on the shared server."""
    outbox = installation.folder / "data" / "outbox"
    return [path for path in outbox.glob("*.eml") if address in path.read_text()]


def test_a_report_has_equal_totals_in_every_format_and_is_mailed(
    shop: Installation, unique: str
) -> None:
    address = f"{unique}@example.com"
    with shop.worker():
        answer = shop.run("submit", *LAST_MONTH, f'deliver_to:=["{address}"]', "--wait")
    assert answer.code == 0, answer.err
    result = answer.json()
    files = {file["format"]: stored(shop, file) for file in result["files"]}
    revenue = Decimal(result["kpis"]["revenue"])
    assert revenue > 0
    rows = csv.DictReader(io.StringIO(files["csv"].decode()))
    days = [r for r in rows if (r["table"], r["figure"]) == ("daily", "revenue")]
    assert sum(Decimal(row["value"]) for row in days) == revenue
    book = CalamineWorkbook.from_filelike(io.BytesIO(files["xlsx"]))
    assert book.get_sheet_by_name("By day").to_python()[-1][:2] == ["Total", float(revenue)]
    assert json.loads(files["json"])["kpis"][0]["value"] == result["kpis"]["revenue"]
    assert f"€{revenue:,.2f}" in files["html"].decode()
    (path,) = mails(shop, address)
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    attached = [part.get_filename() for part in mail.iter_attachments()]
    assert attached == [file["name"] for file in result["files"]]


def test_a_killed_worker_repeats_one_step_and_the_report_is_the_same(
    shop: Installation, unique: str
) -> None:
    with shop.worker():
        whole = shop.run("submit", *LAST_MONTH, "--id", "whole", "--wait").json()
    job_id, address = killed_while_it_ran(shop, unique)
    with shop.worker():
        job = shop.until(job_id, "completed")
    assert [file["sha256"] for file in job["result"]["files"]] == [
        file["sha256"] for file in whole["files"]
    ]
    assert job["result"]["delivered"] == len(mails(shop, address)) == 1


def killed_while_it_ran(shop: Installation, key: str) -> tuple[str, str]:
    """Kill a worker that makes a report; return the job, and the address that it is for."""
    for number in range(5):  # one may be done before we come to look
        address = f"{key}-{number}@example.com"
        with shop.worker() as worker:
            job_id = shop.submit(
                *LAST_MONTH, f'deliver_to:=["{address}"]', "--id", f"killed-{number}"
            )
            while shop.status(job_id)["state"] == "waiting":
                pass
            worker.kill()
        if not JobState(shop.status(job_id)["state"]).final:
            return job_id, address
    return pytest.fail("every report was done before its worker could be killed")


def test_a_schedule_triggered_twice_makes_each_report_of_the_day_once(
    shop: Installation,
) -> None:
    assert shop.run("schedules", "apply").code == 0
    with shop.worker():
        for _ in range(2):
            assert shop.run("schedules", "trigger", "daily-summary").code == 0
        for job_id in until_begun(shop, 2):
            shop.until(job_id, "completed")
    answer = shop.run("schedules", "show", "daily-summary", "--json")
    runs = [run["state"] for run in answer.json()["runs"]]
    assert set(runs) <= {"done", "running"}
    made = begun(shop)
    assert len(made) == len(set(made)) == 2


def begun(shop: Installation) -> list[str]:
    """The ids of the jobs that the schedule began."""
    jobs = shop.run("list", "--kind", "report", "--json").json()["jobs"]
    return [job["id"] for job in jobs if job["id"].startswith("report-daily-summary")]


def until_begun(shop: Installation, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(PATIENCE_S):
        if len(found := begun(shop)) >= count:
            return found
    pytest.fail(f"the schedule began {found}")
