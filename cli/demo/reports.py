"""The demo's reports: invented sales, mailed; and real departures with published totals."""

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from cli.demo.stage import Act, Stage, Unexpected, require_completed
from jobs.reports import ReportFormat
from jobs.status import JobStatus

PUBLISHED: Final = {"events": "336776", "distance": "350217607"}
"""Departures and miles of the data set nycflights13, as its documentation counts them."""
MAILED: Final = "reports@example.com"


async def sales(_: Stage) -> Mapping[str, Any]:
    """Last month's sales of the demo shop, in every format, by mail."""
    return {
        "type": "sales",
        "period": "last_month",
        "time_zone": "Europe/Berlin",
        "formats": list(ReportFormat),
        "deliver_to": [MAILED],
    }


async def sales_add_up(stage: Stage, job: JobStatus) -> str:
    """See that the days of the CSV add up to the key figure, and that the mail came in."""
    result = require_completed(job)
    saved = {}
    for file in result["files"]:
        saved[file["format"]] = await stage.storage.get(file["key"])
        (stage.results / file["name"]).write_bytes(saved[file["format"]])
    rows = csv.DictReader(io.StringIO(saved["csv"].decode()))
    days = [row for row in rows if (row["table"], row["figure"]) == ("daily", "revenue")]
    if sum(Decimal(row["value"]) for row in days) != Decimal(result["kpis"]["revenue"]):
        raise Unexpected("the days don't add up to the month")
    mails = [entry for entry in stage.outbox.entries() if entry.to == MAILED]
    if result["delivered"] != 1 or len(mails) != 1:
        raise Unexpected(f"{len(mails)} mails came in, not 1")
    kinds = {part.get_content_type() for part in stage.outbox.read(mails[0].name).walk()}
    if not {"application/pdf", "image/png"} <= kinds:
        raise Unexpected(f"the mail holds {', '.join(sorted(kinds))}")
    pdf = next(file for file in result["files"] if file["format"] == "pdf")
    return f"{stage.results / pdf['name']}  and 4 more, and a mail with its chart"


async def departures(_: Stage) -> Mapping[str, Any]:
    """A year of departures from New York, cut by local days."""
    return {
        "type": "analytics",
        "start": "2013-01-01",
        "end": "2013-12-31",
        "time_zone": "America/New_York",
        "compare": "none",
        "formats": ["pdf", "html"],
    }


async def departures_are_as_published(stage: Stage, job: JobStatus) -> str:
    """Compare the key figures with the published ones."""
    result = require_completed(job)
    found = {name: result["kpis"][name] for name in PUBLISHED}
    if found != PUBLISHED:
        raise Unexpected(f"{found}, published are {PUBLISHED}")
    for file in result["files"]:
        (stage.results / file["name"]).write_bytes(await stage.storage.get(file["key"]))
    return f"{int(found['events']):,} departures, {int(found['distance']):,} miles, as published"


ACTS: Final[Sequence[Act]] = (
    Act(title="sales report", kind="report", input=sales, expect=sales_add_up),
    Act(
        title="published data",
        kind="report",
        input=departures,
        expect=departures_are_as_published,
    ),
)
