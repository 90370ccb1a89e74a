"""What routes answer with, and what they share in making it."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Header, Path, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json

from jobs.client import Count, LogLine, OnConflict
from jobs.errors import InvalidInputError, Problem
from jobs.status import JobLinks, JobState, JobStatus
from jobs.times import parse_duration

LONGEST_WAIT_S: Final = 60
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)


def check_instant(value: datetime) -> datetime:
    """Refuse instants that no clock will show."""
    if not EARLIEST <= value <= LATEST:
        msg = "use a year from 1970 to 9000"
        raise ValueError(msg)
    return value


Instant = Annotated[AwareDatetime, AfterValidator(check_instant)]
Span = Annotated[
    str,
    Field(pattern=r"^(\d{1,9}(\.\d{1,3})?(ms|s|m|h|d|w)){1,4}$", examples=["10m"], max_length=64),
]
JobId = Annotated[
    str, Path(max_length=300, examples=["image-019abf3e-7d3f-7c1c-9a53-2f3e8c7d1a11"])
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Makes it safe to send again: the same key and input give the same job.",
        max_length=255,
        examples=["order-17"],
    ),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=10` waits so many seconds for the job's end.", max_length=200),
]


def parse_span(field: str, text: str | None) -> timedelta | None:
    """Return a span such as ``1h30m``.

    Raises:
        InvalidInputError: it is none, or no one lives so long.
    """
    if text is None:
        return None
    try:
        return parse_duration(field, text)
    except OverflowError:
        raise InvalidInputError([Problem(field, f"{text!r} is too long")]) from None


class Body(BaseModel):
    """A request's JSON object; every field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _can_be_written(cls, data: Any) -> Any:
        """Refuse what JSON text can spell and nothing else can hold: NaN, lone surrogates."""
        try:
            json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            msg = "the text holds half a surrogate pair, which is no character"
            raise ValueError(msg) from None
        except (ValueError, RecursionError):
            msg = "the body holds a number that is not finite, or is nested too deeply"
            raise ValueError(msg) from None
        except TypeError:
            return data
        return data


class NewJob(Body):
    """A job to start."""

    kind: str = Field(max_length=64, examples=["image"])
    """What to do; ``GET /v1/kinds`` lists the kinds."""
    input: dict[str, Any] = Field(default_factory=dict)
    """What the kind takes; ``GET /v1/kinds/{kind}/schema`` tells."""
    run_at: Instant | None = None
    """Begin then; a time with an offset. One in the past means now."""
    delay: Span | None = None
    """Begin after so long: ``10m``, ``1h30m``. Not together with ``run_at``."""
    deadline: Span | None = None
    """Longest run time, instead of the kind's own."""
    priority: int = Field(default=3, ge=1, le=5)
    """1 (first) to 5 (last)."""
    tags: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")],
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\-@+/ ]{0,128}$")],
    ] = Field(default_factory=dict, max_length=20)
    """By which jobs can be found again."""
    on_conflict: OnConflict = OnConflict.EXISTING
    """If there is a job of that ``Idempotency-Key``: return it, refuse, or replace it."""


class BulkItem(NewJob):
    """One of many jobs to start."""

    idempotency_key: str | None = Field(default=None, max_length=255)
    """As the header ``Idempotency-Key`` of a single one."""


class JobList(BaseModel):
    """A part of a list, newest first."""

    data: list[JobStatus]
    next_cursor: str | None = Field(examples=[None])
    has_more: bool


class Counts(BaseModel):
    """How many jobs there are."""

    data: list[Count]


class Log(BaseModel):
    """What happened to a job, oldest first."""

    data: list[LogLine]


def answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON."""
    return Response(
        to_json(data, inf_nan_mode="null", serialize_unknown=True),
        status,
        headers,
        media_type="application/json",
    )


def with_links(job: JobStatus, *, admin: bool = False) -> JobStatus:
    """Return a job with links into this API; that of the Temporal Web UI is for operators."""
    here = f"/v1/jobs/{job.id}"
    links = JobLinks(
        self=here,
        logs=f"{here}/logs",
        events=f"{here}/events",
        result=f"{here}/result" if job.state is JobState.COMPLETED else None,
        temporal_ui=job.links.temporal_ui if admin else None,
    )
    return job.model_copy(update={"links": links})


def job_answer(
    job: JobStatus,
    status: int = 200,
    *,
    if_none_match: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a job object with its ``ETag``, and ``Retry-After`` while it is open."""
    body = to_json(job, inf_nan_mode="null")
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    given = {"ETag": tag, **(headers or {})}
    if not job.state.final:
        given["Retry-After"] = str(_worth_asking_after(job))
    known = {part.strip() for part in (if_none_match or "").split(",")}
    if status == 200 and (tag in known or "*" in known):  # noqa: PLR2004 (HTTP's own)
        return Response(status_code=304, headers=given)
    return Response(body, status, given, media_type="application/json")


def _worth_asking_after(job: JobStatus) -> int:
    due = job.next_attempt_at or (job.scheduled_at if job.state is JobState.SCHEDULED else None)
    if due is None:
        return 1
    return min(3600, max(1, math.ceil((due - datetime.now(UTC)).total_seconds())))


def idempotency_key(header: str | None) -> str | None:
    """Return the key, without the quotes that the header's syntax may put around it."""
    if header is not None and len(header) > 1 and header[0] == header[-1] == '"':
        return header[1:-1]
    return header


def wait_of(prefer: str | None) -> timedelta | None:
    """Return how long a ``Prefer`` header wants to wait; what can't be understood is left out."""
    for preference in (prefer or "").split(","):
        name, _, value = preference.strip().partition("=")
        number = value.strip().strip('"')
        if name.strip().lower() == "wait" and number.isascii() and number.isdigit():
            return timedelta(seconds=min(LONGEST_WAIT_S, int(number[:6])))
    return None
