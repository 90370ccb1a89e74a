"""Submitting jobs, one or many."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, ValidationError

from api import problems
from api.access import Caller, Writer
from api.answers import (
    BulkItem,
    IdempotencyKey,
    NewJob,
    Prefer,
    answer,
    idempotency_key,
    job_answer,
    parse_span,
    wait_of,
    with_links,
)
from api.problems import ApiError, FieldProblem, ProblemDetails, documented
from api.services import Open, Services
from jobs.access import INTERNAL_KINDS, owned_key
from jobs.client import Submission
from jobs.client.submission import PATIENCE
from jobs.errors import (
    ConflictError,
    ConveyorError,
    InvalidInputError,
    TransientError,
    WaitTimedOutError,
)
from jobs.kinds import ALL
from jobs.status import JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

PATIENCE_OF_CALLERS: Final = PATIENCE / 30
"""How long a submission is tried while Temporal is away; then the caller comes again."""
BULK_MOST: Final = 1000
BULK_AT_ONCE: Final = 16
CREATED: Final = 202

EXAMPLES: Final = {
    kind.name: {
        "summary": f"a job of kind {kind.name}",
        "value": {"kind": kind.name, "input": dict(kind.example)},
    }
    for kind in ALL
    if kind.name not in INTERNAL_KINDS
}

JOB: Final[Mapping[int | str, dict[str, Any]]] = {
    200: {"model": JobStatus, "description": "A job of that key and input is there already, or "
          "the job has ended within the time that `Prefer` names"},
    202: {"model": JobStatus, "description": "The job is started",
          "headers": {"Location": {"schema": {"type": "string"}}}},
}  # fmt: skip


@router.post(
    "",
    status_code=202,
    response_model=None,
    responses={**JOB, **documented(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    openapi_extra={"requestBody": {"content": {"application/json": {"examples": EXAMPLES}}}},
)
async def submit(
    caller: Writer,
    services: Open,
    job: NewJob,
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Start a job, or return the one that the same key and input have started before."""
    services.rates.take(caller.name)
    status = await start(services, caller, job, idempotency_key(key))
    return await started(services, caller, status, prefer)


async def start(services: Services, caller: Caller, job: NewJob, key: str | None) -> JobStatus:
    """Start a job for a caller.

    Raises:
        ApiError: 422 with a pointer to each field that is wrong; 409 if ``on_conflict`` refuses.
    """
    try:
        options = _options(caller, job, key)
    except InvalidInputError as error:
        raise _refused(error, below="") from None
    if wrong := [problem for problem in options.problems() if problem.field != "id"]:
        raise _refused(InvalidInputError(wrong), below="")
    try:
        return await services.jobs_of(caller).submit(job.kind, job.input, options)
    except InvalidInputError as error:
        raise _refused(error, below="input") from None
    except ConflictError as error:
        status = 409 if job.on_conflict == "error" else 422
        told = str(error).replace("--on-conflict ", "on_conflict ")
        raise ApiError(status, told) from None


def _options(caller: Caller, job: NewJob, key: str | None) -> Submission:
    admin = caller.sees is None
    return Submission(
        key=owned_key(caller.owner, key) if admin and key is not None else key,
        on_conflict=job.on_conflict,
        priority=job.priority,
        owner=caller.owner,
        tags=job.tags,
        delay=parse_span("delay", job.delay),
        run_at=job.run_at,
        deadline=parse_span("deadline", job.deadline),
        retry_for=PATIENCE_OF_CALLERS,
    )


def _refused(error: InvalidInputError, *, below: str) -> ApiError:
    errors = problems.field_problems(error.problems, below=below)
    return ApiError(422, "the input is not valid; nothing was started", errors=errors)


async def started(
    services: Services, caller: Caller, job: JobStatus, prefer: str | None
) -> Response:
    """Answer a submission; wait for the job's end if the caller prefers that."""
    headers = {"Location": f"/v1/jobs/{job.id}"}
    status = CREATED if job.created else 200
    if (within := wait_of(prefer)) is not None:
        headers["Preference-Applied"] = f"wait={within.total_seconds():.0f}"
        try:
            ended = await services.jobs_of(caller).wait(job.id, within=within)
        except WaitTimedOutError:
            pass
        else:
            status = 200
            job = ended.model_copy(update={"created": job.created, "input": job.input})
    return job_answer(with_links(job, admin=caller.sees is None), status, headers=headers)


class Bulk(BaseModel):
    """Many jobs to start."""

    items: list[dict[str, Any]] = Field(min_length=1, max_length=BULK_MOST)


class BulkAnswer(BaseModel):
    """What became of one of many: a job, or a problem."""

    status: int
    """As if it had come alone: 202, 200, 409, 422 or 503."""
    job: JobStatus | None = None
    problem: ProblemDetails | None = None


class BulkAnswers(BaseModel):
    """What became of many, in their order."""

    data: list[BulkAnswer]


@router.post(
    "/bulk",
    response_model=None,
    responses={
        200: {"model": BulkAnswers, "description": "An answer for each, in their order"},
        **documented(400, 401, 403, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "example": {"items": [example["value"] for example in EXAMPLES.values()]}
                }
            }
        }
    },
)
async def submit_many(caller: Writer, services: Open, many: Bulk) -> Response:
    """Start up to 1,000 jobs; each is answered by itself, never all or nothing."""
    services.rates.take(caller.name, len(many.items))
    gate = asyncio.Semaphore(BULK_AT_ONCE)

    async def one(item: dict[str, Any]) -> BulkAnswer:
        async with gate:
            try:
                new = BulkItem.model_validate(item)
                job = await start(services, caller, new, idempotency_key(new.idempotency_key))
            except ValidationError as error:
                return _invalid_item(error)
            except (ApiError, ConveyorError, TransientError) as error:
                problem, _ = problems.of_error(error)
                return BulkAnswer(status=problem.status, problem=problem)
        shown = with_links(job, admin=caller.sees is None)
        return BulkAnswer(status=CREATED if job.created else 200, job=shown)

    answers = await asyncio.gather(*(one(item) for item in many.items))
    return answer({"data": answers})


def _invalid_item(error: ValidationError) -> BulkAnswer:
    errors = [
        FieldProblem(
            pointer=problems.pointer(".".join(str(part) for part in problem["loc"])),
            detail=problem["msg"].removeprefix("Value error, "),
        )
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    problem = problems.details(422, "the item is not valid; nothing was started", errors=errors)
    return BulkAnswer(status=422, problem=problem)
