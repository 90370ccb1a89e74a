"""The demo's batch: many mails as one job, one of them to a user that does not exist."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cli.demo.stage import Act, Stage, Unexpected, require_completed
from jobs.status import JobState, JobStatus

GUESTS: Final = 24
UNKNOWN: Final = 10
"""Place of the item that can't succeed."""


async def invitations(_: Stage) -> Mapping[str, Any]:
    """A mail to each guest, and one to a user of whom the directory knows nothing."""
    data = {"name": "Guest", "title": "You are invited", "message": "Tea at four, in the garden."}
    mail = {"template": "notification", "data": data}
    items = [{**mail, "to": f"guest{number}@example.com"} for number in range(GUESTS)]
    items.insert(UNKNOWN, {**mail, "user_id": "nobody"})
    return {"kind": "email", "items": items}


async def one_failure_hides_no_other(stage: Stage, job: JobStatus) -> str:
    """See that every guest was written to once, and that the failed item is a failed job."""
    result = require_completed(job)
    counts = {name: result[name] for name in ("completed", "failed", "cancelled")}
    if counts != {"completed": GUESTS, "failed": 1, "cancelled": 0}:
        raise Unexpected(f"the counts are {counts}")
    path = stage.results / "invitations.jsonl"
    await stage.storage.fetch(result["outcomes"]["key"], path)
    outcomes = [json.loads(line) for line in path.read_text().splitlines()]
    mails = [str(stage.outbox.read(entry.name)["Message-ID"]) for entry in stage.outbox.entries()]
    for outcome in outcomes:
        if outcome["state"] == "completed" and mails.count(outcome["result"]["message_id"]) != 1:
            raise Unexpected(f"item {outcome['index']} did not come in once")
    failed = await stage.jobs.status(outcomes[UNKNOWN]["job_id"])
    if failed.state is not JobState.FAILED or failed.error is None:
        raise Unexpected(f"the item to nobody is {failed.state}")
    return f"{GUESTS} mails, 1 item failed with {failed.error.type} as {failed.id}: {path}"


ACTS: Final[Sequence[Act]] = (
    Act(title="batch", kind="batch", input=invitations, expect=one_failure_hides_no_other),
)
