"""Looking at jobs: list, one, its events, log, explanation and result; counts."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.access import Reader
from api.answers import (
    Counts,
    JobId,
    JobList,
    Log,
    answer,
    check_instant,
    job_answer,
    with_links,
)
from api.problems import ApiError, FieldProblem, documented
from api.services import Open, Services
from api.watching import is_end
from jobs.client import Explanation, JobFilter
from jobs.errors import (
    InvalidInputError,
    Problem,
)
from jobs.status import JobState, JobStatus
from jobs.times import parse_since

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
stats = APIRouter(prefix="/v1", tags=["jobs"])

MOST_AT_ONCE: Final = 200

Cursor = Annotated[
    str | None, Query(max_length=8192, description="The `next_cursor` of an earlier answer.")
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]


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
    "/{job_id}/explanation",
    response_model=None,
    responses={
        200: {"model": Explanation, "description": "In a sentence, with its causes"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def explanation(caller: Reader, services: Open, job_id: JobId) -> Response:
    """Say why a job is where it is, also while no worker lives."""
    return answer(await services.jobs_of(caller).explain(job_id))


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


@stats.get(
    "/stats",
    response_model=None,
    responses={
        200: {"model": Counts, "description": "Only the newest run of each job counts"},
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
