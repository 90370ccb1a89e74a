"""Jobs: submit, list, look, follow, act."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, ValidationError

from api import problems
from api.access import Caller, Reader, Writer
from api.answers import (
    Body,
    BulkItem,
    Counts,
    IdempotencyKey,
    Instant,
    JobId,
    JobList,
    Log,
    NewJob,
    Prefer,
    answer,
    check_instant,
    idempotency_key,
    job_answer,
    parse_span,
    wait_of,
    with_links,
)
from api.problems import ApiError, FieldProblem, ProblemDetails, documented
from api.services import Open, Services
from api.watching import is_end
from cli.parsing import parse_since
from jobs.access import owned_key
from jobs.client import JobFilter, Submission
from jobs.client.submission import PATIENCE
from jobs.errors import (
    ConflictError,
    ConveyorError,
    InvalidInputError,
    Problem,
    TransientError,
    WaitTimedOutError,
)
from jobs.files import folder_of
from jobs.kinds import ALL
from jobs.status import JobState, JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
stats = APIRouter(prefix="/v1", tags=["jobs"])

PATIENCE_OF_CALLERS: Final = PATIENCE / 30
"""How long a submission is tried while Temporal is away; then the caller comes again."""
MOST_AT_ONCE: Final = 200
BULK_MOST: Final = 1000
BULK_AT_ONCE: Final = 16
CREATED: Final = 202

EXAMPLES: Final = {
    kind.name: {
        "summary": f"a job of kind {kind.name}",
        "value": {"kind": kind.name, "input": dict(kind.example)},
    }
    for kind in ALL
}

Cursor = Annotated[
    str | None, Query(max_length=8192, description="The `next_cursor` of an earlier answer.")
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]
Wrong = documented(401, 403, 404, 422, 429, 503)
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


@router.get(
    "",
    response_model=None,
    responses={
        200: {"model": JobList, "description": "Newest first; `Link` has the next page"},
        **documented(401, 403, 422, 503),
    },
)
async def list_jobs(
    request: Request,
    caller: Reader,
    services: Open,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    state: JobState | None = None,
    owner: Annotated[
        str | None, Query(max_length=64, description="Another owner's need the admin scope.")
    ] = None,
    error: Annotated[str | None, Query(max_length=128, description="Type of the failure.")] = None,
    tag: Annotated[str | None, Query(max_length=200, description="`key=value`")] = None,
    since: Annotated[
        str | None, Query(max_length=64, description="`2h`, or a time with an offset.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50,
    cursor: Cursor = None,
) -> Response:
    """List one's own jobs, with the admin scope everyone's."""
    if owner is not None and caller.sees not in {None, owner}:
        raise ApiError(403, "jobs of other owners need the scope jobs:admin")
    wanted = job_filter(kind=kind, state=state, owner=owner, error=error, tag=tag, since=since)
    try:
        page = await services.jobs_of(caller).list(wanted, limit=limit, cursor=cursor)
    except InvalidInputError as wrong:
        raise parameters_refused(wrong) from None
    headers = {}
    if page.next_cursor:
        query = {**dict(request.query_params), "cursor": page.next_cursor}
        headers["Link"] = f'</v1/jobs?{urlencode(query)}>; rel="next"'
    shown = [with_links(job, admin=caller.sees is None) for job in page.jobs]
    data = {"data": shown, "next_cursor": page.next_cursor, "has_more": bool(page.next_cursor)}
    return answer(data, headers=headers)


def job_filter(
    *,
    kind: str | None = None,
    state: JobState | None = None,
    owner: str | None = None,
    error: str | None = None,
    tag: str | None = None,
    since: str | None = None,
) -> JobFilter:
    """Return the filter that the parameters of a list mean.

    Raises:
        ApiError: 422, naming the parameter.
    """
    name, equals, value = (tag or "").partition("=")
    if tag is not None and not equals:
        raise parameters_refused(InvalidInputError([Problem("tag", f"{tag!r}: write key=value")]))
    try:
        return JobFilter(
            kind=kind,
            state=state,
            owner=owner,
            error=error,
            tag=(name, value) if tag is not None else None,
            since=_since(since) if since is not None else None,
        )
    except InvalidInputError as wrong:
        raise parameters_refused(wrong) from None


def _since(text: str) -> datetime:
    try:
        return check_instant(parse_since("since", text))
    except (OverflowError, ValueError):
        raise InvalidInputError([Problem("since", f"{text!r} is too far away")]) from None


def parameters_refused(error: InvalidInputError) -> ApiError:
    """Return the refusal of parameters."""
    errors = [FieldProblem(parameter=p.field, detail=p.message) for p in error.problems]
    return ApiError(422, "a parameter is not valid", errors=errors)


@router.get(
    "/{job_id}",
    response_model=None,
    responses={
        200: {"model": JobStatus, "description": "The job; `Retry-After` while it is open"},
        304: {"description": "It is as `If-None-Match` says"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def show(
    caller: Reader, services: Open, job_id: JobId, if_none_match: IfNoneMatch = None
) -> Response:
    """Show where a job is, also while no worker lives."""
    job = await services.jobs_of(caller).status(job_id, with_input=True)
    shown = with_links(job, admin=caller.sees is None)
    return job_answer(shown, if_none_match=if_none_match)


@router.get(
    "/{job_id}/events",
    response_model=None,
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events `state`, `progress`, `log`; the final state last",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "`Last-Event-ID` is that of the end: do not come again"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def events(
    caller: Reader,
    services: Open,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", max_length=100, description="Go on after it.")
    ] = None,
) -> Response:
    """Follow a job as server-sent events."""
    await services.jobs_of(caller).status(job_id)
    return stream(services, job_id, last_event_id, admin=caller.sees is None)


def stream(services: Services, job_id: str, last_event_id: str | None, *, admin: bool) -> Response:
    """Answer with a job's events; the caller has been checked."""
    if is_end(last_event_id):
        return Response(status_code=204)

    def present(job: JobStatus) -> JobStatus:
        return with_links(job, admin=admin)

    return StreamingResponse(
        services.hub.events(job_id, present, last_event_id),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@router.get(
    "/{job_id}/logs",
    response_model=None,
    responses={
        200: {"model": Log, "description": "Oldest first"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def logs(caller: Reader, services: Open, job_id: JobId) -> Response:
    """Tell what happened to a job, step by step."""
    lines = [line async for line in services.jobs_of(caller).logs(job_id)]
    return answer({"data": lines})


@router.get(
    "/{job_id}/result",
    response_model=None,
    responses={
        200: {
            "description": "What the job gave; each file with a `url` that works for a while",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        303: {"description": "With `file`: to a link that works for a while"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def result(
    caller: Reader,
    services: Open,
    job_id: JobId,
    file: Annotated[
        str | None, Query(max_length=300, description="Name or key of a file of the result.")
    ] = None,
) -> Response:
    """Return what a completed job gave, or lead to one of its files."""
    given = await services.jobs_of(caller).result(job_id)
    if file is None:
        return answer(await with_urls(services, given))
    wanted = [found for found in files_of(given) if file in {found.get("name"), found["key"]}]
    if not wanted:
        raise ApiError(404, "the result has no such file")
    link = await services.links.to(wanted[0]["key"])
    return Response(status_code=303, headers={"Location": link})


def files_of(given: Any) -> list[dict[str, Any]]:
    """Return every stored file that a result names."""
    if isinstance(given, list):
        return [file for part in given for file in files_of(part)]
    if not isinstance(given, dict):
        return []
    here = [given] if isinstance(given.get("key"), str) else []
    return [*here, *(file for part in given.values() for file in files_of(part))]


async def with_urls(services: Services, given: Any) -> Any:
    """Return a result with a link at each file."""
    if isinstance(given, list):
        return [await with_urls(services, part) for part in given]
    if not isinstance(given, dict):
        return given
    shown = {name: await with_urls(services, part) for name, part in given.items()}
    if isinstance(given.get("key"), str):
        shown["url"] = await services.links.to(given["key"])
    return shown


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It is asked to stop"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def cancel(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Ask a job to stop; it cleans up and ends as cancelled."""
    jobs = services.jobs_of(caller)
    await jobs.cancel(job_id)
    job = await jobs.status(job_id)
    return job_answer(with_links(job, admin=caller.sees is None), 202)


class NewTime(Body):
    """When a job is to begin."""

    at: Instant


@router.post(
    "/{job_id}/reschedule",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It begins then"},
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def reschedule(caller: Writer, services: Open, job_id: JobId, when: NewTime) -> Response:
    """Let a job that has not begun begin at another time."""
    job = await services.jobs_of(caller).reschedule(job_id, when.at)
    return job_answer(with_links(job, admin=caller.sees is None), 202)


@router.post(
    "/{job_id}/promote",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": JobStatus, "description": "It begins now"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def promote(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Let a job that has not begun begin now."""
    job = await services.jobs_of(caller).promote(job_id)
    return job_answer(with_links(job, admin=caller.sees is None), 202)


@router.delete(
    "/{job_id}",
    status_code=204,
    response_model=None,
    responses={
        204: {"description": "It is forgotten: input, result, log, files"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def delete(caller: Writer, services: Open, job_id: JobId) -> Response:
    """Forget a job that has ended, and delete its files."""
    jobs = services.jobs_of(caller)
    state = (await jobs.status(job_id)).state
    if not state.final:
        raise ConflictError(f"the job is {state}: cancel it, and delete it when it has ended")
    await services.storage.delete_prefix(f"jobs/{folder_of(job_id)}")
    await jobs.delete(job_id)
    return Response(status_code=204)


@stats.get(
    "/stats",
    response_model=None,
    responses={
        200: {"model": Counts, "description": "Runs that a retry left behind count as well"},
        **documented(401, 403, 422, 503),
    },
)
async def count(
    caller: Reader,
    services: Open,
    by: Annotated[str, Query(pattern="^(kind|state|error)$", examples=["state"])] = "state",
) -> Response:
    """Count one's own jobs, with the admin scope everyone's."""
    return answer({"data": await services.jobs_of(caller).count(by)})
