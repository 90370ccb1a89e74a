"""Reports: mailed, not delivered, made by a schedule."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.base import Queue
from jobs.reports import DailyReports
from jobs.status import JobState
from tests.replay.house import House
from tests.replay.scenarios.scenario import scenarios

ADA: Final = "ada@example.com"
GONE: Final = "left@example.com"
MOVED: Final = "moved@example.com"
"""Like the one above: refused once, and suppressed from then on."""
REFUSED: Final = "550 5.1.1 no such user"
SALES: Final[Mapping[str, Any]] = {
    "type": "sales",
    "start": "2026-10-01",
    "end": "2026-10-31",
    "formats": ["html"],
}
MAILED: Final = {**SALES, "deliver_to": [ADA, "grace@example.com"]}
YESTERDAY: Final = {"type": "sales", "period": "yesterday", "formats": ["json"]}


async def mailed(house: House) -> Sequence[str]:
    """Everyone gets the report; the job's second run sends no second copy."""
    job_id = await house.submit("report", MAILED, key="mailed")
    async with house.working():
        assert await house.finished(job_id) is JobState.COMPLETED
        await house.start("GenerateReport", Queue.REPORTS, job_id, MAILED)
        assert await house.finished(job_id) is JobState.COMPLETED
    return (job_id,)


async def not_delivered(house: House) -> Sequence[str]:
    """One of the receivers is unknown to the relay."""
    house.relay.refuse[GONE] = REFUSED
    job = {**MAILED, "deliver_to": [GONE, ADA]}
    job_id = await house.submit("report", job, key="not-delivered")
    async with house.working():
        assert await house.finished(job_id) is JobState.FAILED
    return (job_id,)


async def every_day(house: House) -> Sequence[str]:
    """A schedule's reports are made; a second run on the same day finds them made."""
    due = DailyReports.model_validate({"reports": [YESTERDAY]})
    async with house.working():
        for _ in range(2):
            await house.start("DailyReports", Queue.REPORTS, "daily", due)
            assert await house.finished("daily") is JobState.COMPLETED
    return ("daily",)


async def every_day_with_a_failure(house: House) -> Sequence[str]:
    """One of a schedule's reports is not delivered."""
    house.relay.refuse[MOVED] = REFUSED
    due = DailyReports.model_validate({"reports": [{**YESTERDAY, "deliver_to": [MOVED]}]})
    async with house.working():
        await house.start("DailyReports", Queue.REPORTS, "daily-failing", due)
        assert await house.finished("daily-failing") is JobState.FAILED
    return ("daily-failing",)


ALL: Final = scenarios(mailed, not_delivered, every_day, every_day_with_a_failure)
