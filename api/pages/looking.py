"""One's jobs, and one job with its log, fresh while it is open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse

from api.answers import JobId
from api.pages.acting import BUTTONS, LABELS
from api.pages.people import Person, Someone
from api.pages.rendering import page
from api.problems import ApiError
from api.routes.jobs.reading import files_of, stream
from api.services import Open
from jobs.client import JobFilter, LogLine
from jobs.errors import InvalidInputError
from jobs.kinds import KINDS
from jobs.status import JobState

router = APIRouter(include_in_schema=False)
ON_PAGE: Final = 25
SHOWN_PICTURES: Final = frozenset({"JPEG", "PNG", "WEBP", "AVIF", "GIF"})


@router.get("/")
async def jobs(
    request: Request,
    services: Open,
    person: Someone,
    kind: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=32)] = "",
    cursor: Annotated[str | None, Query(max_length=8192)] = None,
) -> Response:
    """Show one's jobs."""
    values = await _listed(services, person, kind, state, cursor)
    query = {"kind": kind, "state": state}
    more = (
        f"/?{urlencode({**query, 'cursor': values['next_cursor']})}"
        if values["next_cursor"]
        else ""
    )
    return page(
        services,
        "jobs.html",
        person,
        more=more,
        rows=f"/rows?{urlencode({**query, 'cursor': cursor or ''})}",
        kinds=sorted(KINDS),
        states=[state.value for state in JobState],
        wrong=request.query_params.get("wrong", "")[:300],
        **values,
    )


@router.get("/rows")
async def rows(
    services: Open,
    person: Someone,
    kind: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=32)] = "",
    cursor: Annotated[str, Query(max_length=8192)] = "",
) -> Response:
    """Return the lines of the table, for the script that keeps them fresh."""
    values = await _listed(services, person, kind, state, cursor or None)
    return page(services, "rows.html", person, **values)


async def _listed(
    services: Open, person: Person, kind: str, state: str, cursor: str | None
) -> dict[str, Any]:
    chosen = JobState(state) if state in set(JobState) else None
    wanted = JobFilter(kind=kind if kind in KINDS else None, state=chosen)
    try:
        page = await services.jobs_of(person.caller).list(wanted, limit=ON_PAGE, cursor=cursor)
    except InvalidInputError:
        raise ApiError(422, "this list is too old; begin at /") from None
    return {"jobs": page.jobs, "next_cursor": page.next_cursor, "kind": kind, "state": state}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a job, as its log tells."""

    name: str
    state: str
    attempt: int | None
    took: str


def steps_of(lines: Sequence[LogLine]) -> list[Step]:
    """Return each step with what became of it last, in their order."""
    found: dict[str, Step] = {}
    for line in lines:
        if line.step is None:
            continue
        text, _, took = line.text.partition(" after ")
        text = text.partition(":")[0]
        state = {"started": "running", "completed": "completed", "cancelled": "cancelled"}
        shown = state.get(text, "failed")
        found[line.step] = Step(line.step, shown, line.attempt, took)
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """A file that a job made, as far as its kind tells of it."""

    name: str
    url: str
    picture: bool
    width: int | None
    height: int | None
    bytes: int | None

    @classmethod
    def of(cls, file: Mapping[str, Any], url: str) -> "ShownFile":
        """Return the file of a result, to be had at ``url``."""
        return cls(
            name=file.get("name") or file["key"],
            url=url,
            picture=str(file.get("format", "")).upper() in SHOWN_PICTURES,
            width=file.get("width"),
            height=file.get("height"),
            bytes=file.get("bytes"),
        )


@router.get("/jobs/{job_id}")
async def job(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Show one job: where it is and why, its steps, its log, error and result."""
    mine = services.jobs_of(person.caller)
    shown = await mine.status(job_id, with_input=True)
    lines = [line async for line in mine.logs(job_id)]
    told = await mine.explain(job_id)
    files = [
        ShownFile.of(file, await services.links.to(file["key"])) for file in files_of(shown.result)
    ]
    return page(
        services,
        "job.html",
        person,
        job=shown,
        explanation=told.text,
        steps=steps_of(lines),
        lines=lines,
        files=files,
        acts={act: LABELS[act] for act, states in BUTTONS.items() if shown.state in states},
        wrong=request.query_params.get("wrong", "")[:300],
    )


@router.get("/jobs/{job_id}/events")
async def job_events(
    services: Open,
    person: Someone,
    job_id: JobId,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> Response:
    """Follow a job, for the script of its page."""
    await services.jobs_of(person.caller).status(job_id)
    return stream(services, job_id, last_event_id, admin=False)


@router.get("/jobs/{job_id}/explanation")
async def explanation(services: Open, person: Someone, job_id: JobId) -> Response:
    """Say why a job is where it is, for the script that keeps its page fresh."""
    told = await services.jobs_of(person.caller).explain(job_id)
    return PlainTextResponse(told.text, headers={"Cache-Control": "no-store"})
