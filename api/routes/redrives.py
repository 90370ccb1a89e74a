"""Redrives, for operators: many failed jobs go on, by filter."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.access import Admin
from api.answers import Body, Instant, Span, answer, parse_span
from api.problems import documented
from api.services import Open
from jobs.client import JobFilter, RedrivePreview, RedriveStatus
from jobs.client.redriving import FASTEST, SLOWEST
from jobs.errors import InvalidInputError, Problem
from jobs.status import JobState

router = APIRouter(prefix="/v1/redrives", tags=["redrives"])

RedriveId = Annotated[
    str, Path(max_length=300, examples=["redrive-019abf3e-7d3f-7c1c-9a53-2f3e8c7d1a11"])
]
WRITES: Final = documented(400, 401, 403, 413, 415, 422, 503)


class RedriveOrder(Body):
    """Which jobs are to go on; at least one of kind, error, owner, tag and since."""

    kind: str | None = Field(default=None, max_length=64, examples=["report"])
    error: str | None = Field(default=None, max_length=128, examples=["ReportUndefined"])
    """Type of the failure."""
    owner: str | None = Field(default=None, max_length=64)
    tag: str | None = Field(default=None, max_length=200)
    """``key=value``."""
    since: Instant | Span | None = None
    """Submitted then or later: a time with an offset, or a span back from now, ``2h``."""
    state: JobState | None = None
    """Instead of those that failed or timed out: ``cancelled``, ``terminated``."""
    rate: float | None = Field(default=None, ge=SLOWEST, le=FASTEST)
    """Jobs a second; null for as fast as it goes."""
    dry_run: bool = False
    """Only tell which, and where they would go on."""

    def wanted(self) -> JobFilter:
        """Return the filter.

        Raises:
            InvalidInputError: A value can't be one.
        """
        name, equals, value = (self.tag or "").partition("=")
        if self.tag is not None and not equals:
            raise InvalidInputError([Problem("tag", f"{self.tag!r}: write key=value")])
        return JobFilter(
            kind=self.kind,
            state=self.state,
            owner=self.owner,
            error=self.error,
            tag=(name, value) if self.tag is not None else None,
            since=_instant(self.since),
        )


def _instant(since: Instant | str | None) -> datetime | None:
    if not isinstance(since, str):
        return since
    span = parse_span("since", since)
    try:
        return datetime.now(UTC) - span if span is not None else None
    except OverflowError:
        raise InvalidInputError([Problem("since", f"{since!r} is too far away")]) from None


@router.post(
    "",
    status_code=202,
    response_model=None,
    responses={
        200: {"model": RedrivePreview, "description": "With `dry_run`: what it would do"},
        202: {
            "model": RedriveStatus,
            "description": "It is started, and goes on by itself",
            "headers": {"Location": {"schema": {"type": "string"}}},
        },
        **WRITES,
    },
)
async def redrive(caller: Admin, services: Open, order: RedriveOrder) -> Response:
    """Let every failed job that matches go on from its failed step."""
    jobs, wanted = services.jobs_of(caller), order.wanted()
    if order.dry_run:
        return answer(await jobs.preview_redrive(wanted))
    begun = await jobs.redrive(wanted, rate=order.rate)
    return answer(begun, 202, {"Location": f"/v1/redrives/{begun.id}"})


@router.get(
    "/{redrive_id}",
    response_model=None,
    responses={200: {"model": RedriveStatus}, **documented(401, 403, 404, 422, 503)},
)
async def show(caller: Admin, services: Open, redrive_id: RedriveId) -> Response:
    """Show how far a redrive is."""
    return answer(await services.jobs_of(caller).redrive_status(redrive_id))
