"""The demo's webhooks: one goes out signed, one comes in three times and is handled once."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import func, select

from adapters.database.webhooks.inbound import InboundEvents
from adapters.database.webhooks.tables import pushes
from cli.demo.receiver import verifier
from cli.demo.stage import Act, Stage, Unexpected, require_completed
from jobs.client.webhooks import InboundStarter
from jobs.signatures.schemes import Scheme
from jobs.status import JobStatus
from jobs.webhooks import job_key
from jobs.webhooks.door import InboundDoor
from jobs.webhooks.sources import WebhookSource

OWNER: Final = ""
SECRET: Final = "demo"  # noqa: S105 (of the demo's own sender)
DELIVERY: Final = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
PUSH: Final = {
    "ref": "refs/heads/main",
    "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "after": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
    "commits": [{"message": "Update README.md"}],
    "repository": {"full_name": "octo-org/octo-repo", "pushed_at": 1_790_000_000},
}
SENT: Final = 3


async def invoice(stage: Stage) -> Mapping[str, Any]:
    """An event for an endpoint that is down at first, with short waits."""
    endpoint, key = await stage.desk.add(
        OWNER,
        {
            "url": stage.receiver.url,
            "event_types": ["invoice.*"],
            "schedule": ["PT0S", "PT1S", "PT2S"],
        },
    )
    stage.receiver.key = key
    return {
        "event_type": "invoice.paid",
        "payload": {"invoice": "in_1", "amount_minor": 4200},
        "endpoint_ids": [endpoint.id],
    }


async def event_was_verified(stage: Stage, job: JobStatus) -> str:
    """See that the receiver verified the event, at the second attempt."""
    result = require_completed(job)
    if (result["delivered"], stage.receiver.refused) != (1, 1):
        raise Unexpected(f"{result['delivered']} delivered, {stage.receiver.refused} refused")
    if [event["type"] for event in stage.receiver.accepted] != ["invoice.paid"]:
        raise Unexpected(f"the receiver accepted {stage.receiver.accepted}")
    return f"refused once, then accepted; signature verified by {verifier()[1]}"


async def push(stage: Stage) -> Mapping[str, Any]:
    """GitHub's push, sent three times."""
    source = WebhookSource(scheme=Scheme.GITHUB, secrets=[SecretStr(SECRET)])
    events, starter = InboundEvents(stage.database), InboundStarter(stage.jobs.temporal)
    door = InboundDoor({"github": source}, events, stage.storage, starter)
    body = json.dumps(PUSH).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": DELIVERY,
        "x-hub-signature-256": f"sha256={digest}",
    }
    answers = [(await door.receive("github", headers, body)).status for _ in range(SENT)]
    if answers != [202, 200, 200]:
        raise Unexpected(f"the door answered {answers}")
    return {"source": "github", "event_id": DELIVERY}


async def push_was_recorded_once(stage: Stage, job: JobStatus) -> str:
    """Count what the handler wrote."""
    result = require_completed(job)
    if (result["outcome"], result["handler"]) != ("processed", "record_push"):
        raise Unexpected(f"{result['handler']}: {result['outcome']}")
    async with stage.database.snapshot() as connection:
        rows = (await connection.execute(select(func.count()).select_from(pushes))).scalar_one()
    if rows != 1:
        raise Unexpected(f"{rows} pushes were recorded")
    return f"sent {SENT} times, recorded once by {result['handler']}"


ACTS: Final[Sequence[Act]] = (
    Act(title="event out", kind="event", input=invoice, expect=event_was_verified),
    Act(
        title="webhook in",
        kind="webhook",
        input=push,
        expect=push_was_recorded_once,
        key=job_key("github", DELIVERY),
    ),
)
