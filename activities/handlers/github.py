"""GitHub: pushes are recorded."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from activities.handlers.registry import handler
from activities.handlers.tools import Tools
from jobs.webhooks import EventRejected, Handled, InboundEvent
from jobs.webhooks.effects import Effect, Push


class Repository(BaseModel):
    """The part of a repository that matters."""

    full_name: str = Field(max_length=200)
    pushed_at: int | None = None
    """Unix seconds; the version by which an older push is told from a newer."""


class PushBody(BaseModel):
    """The part of a push that matters."""

    ref: str = Field(max_length=300)
    before: str = Field(max_length=64)
    after: str = Field(max_length=64)
    commits: list[dict[str, Any]] = Field(default_factory=list)
    repository: Repository


@handler("github", "push")
async def record_push(event: InboundEvent, tools: Tools) -> Handled:
    """Record a push once; one that is older than the recorded head of its ref is stale."""
    try:
        body = PushBody.model_validate(event.body)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        msg = f"not a push: {fields}"
        raise EventRejected(msg) from None
    at = body.repository.pushed_at
    outcome = await tools.pushes.record(
        Effect(handler="record_push", event_id=event.id, at=event.received_at),
        Push(
            repository=body.repository.full_name,
            ref=body.ref,
            before=body.before,
            after=body.after,
            commits=len(body.commits),
            pushed_at=event.received_at if at is None else datetime.fromtimestamp(at, UTC),
        ),
    )
    return Handled(outcome=outcome, note=f"{len(body.commits)} commits")
