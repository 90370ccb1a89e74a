"""The page for people: their jobs, live; works without JavaScript and better with it.

Signing in with a key begins a session (``api.sessions``). Every act is a form with its token.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.datastructures import UploadFile

from api.access import Caller
from api.answers import JobId, NewJob
from api.problems import ApiError
from api.reference import environment
from api.routes.images import pieces_of, store_image
from api.routes.jobs.reading import files_of, stream
from api.routes.jobs.submitting import start
from api.services import Open
from api.sessions import COOKIE, Session
from cli.output import ago, duration
from jobs.access import Scope, key_id_of
from jobs.client import JobFilter, LogLine
from jobs.client.retrying import RETRIED
from jobs.errors import ConveyorError, InvalidInputError
from jobs.kinds import KINDS
from jobs.status import FINAL, JobState

router = APIRouter(include_in_schema=False)

STATIC: Final = FilePath(__file__).parent / "static"
STATIC_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript"}
FOR_SCRIPT: Final = ("/rows", "/events", "/explanation")
"""Ends of paths that the script asks for, and not people."""
ON_PAGE: Final = 25
SHOWN_PICTURES: Final = frozenset({"JPEG", "PNG", "WEBP", "AVIF", "GIF"})
DEFAULT_WIDTH: Final = 800
BUTTONS: Final = {
    "cancel": frozenset(JobState) - FINAL,
    "promote": frozenset({JobState.SCHEDULED}),
    "retry": RETRIED | {JobState.RETRYING},
    "release": frozenset({JobState.HELD}),
}
"""States of a job in which each act is offered."""
LABELS: Final = {
    "cancel": "Cancel",
    "promote": "Begin now",
    "retry": "Retry",
    "release": "Release",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone signed in."""

    caller: Caller
    session: Session

    @property
    def may_write(self) -> bool:
        """Whether buttons are shown."""
        return Scope.WRITE in self.caller.scopes


class NotSignedIn(Exception):
    """Leads to the page where people sign in."""


async def _person(request: Request, services: Open) -> Person:
    session = services.sessions.read(request.cookies.get(COOKIE))
    caller = await services.gate.of_key(session.key_id) if session else None
    if session is None or caller is None:
        raise NotSignedIn
    return Person(caller, session)


Someone = Annotated[Person, Depends(_person)]


async def to_sign_in(request: Request, _: Exception) -> Response:
    """Send whoever is not signed in to the page where they can be."""
    if request.method != "GET" or request.url.path.endswith(FOR_SCRIPT):
        return Response(status_code=401)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'then': back})}", 303)


def _render(services: Open, name: str, status: int = 200, **values: Any) -> Response:
    values.setdefault("person", None)
    text = (
        environment()
        .get_template(name)
        .render(product=services.settings.product_name, ago=ago, duration=duration, **values)
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy(services)}
    return HTMLResponse(text, status, headers)


def policy(services: Open) -> str:
    """Return what a page may load: nothing from elsewhere, but pictures from the bucket."""
    bucket = services.settings.s3_endpoint or ""
    parts = urlsplit(bucket)
    pictures = f" {parts.scheme}://{parts.netloc}" if bucket else " https://*.amazonaws.com"
    pictures = pictures if services.settings.storage.startswith("s3:") else ""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        f"img-src 'self' data:{pictures}; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Serve the style and the script."""
    if name not in STATIC_TYPES:
        raise ApiError(404, "there is no such thing here")
    headers = {"Cache-Control": "public, max-age=300"}
    return Response((STATIC / name).read_bytes(), 200, headers, media_type=STATIC_TYPES[name])


@router.get("/sign-in")
async def ask_key(services: Open, then: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Ask for a key."""
    return _render(services, "sign-in.html", then=_inside(then), wrong=False)


@router.post("/sign-in")
async def sign_in(request: Request, services: Open) -> Response:
    """Begin a session."""
    form = await _form(request)
    key, then = str(form.get("key", "")).strip(), _inside(str(form.get("then", "/")))
    key_id = key_id_of(key)
    try:
        await services.gate.identify(key)
    except ApiError:
        key_id = None
    if key_id is None:
        return _render(services, "sign-in.html", 401, then=then, wrong=True)
    response = RedirectResponse(then, 303)
    services.sessions.begin(response, key_id)
    return response


def _inside(path: str) -> str:
    """Return ``path`` if it leads to a page of ours, else the first one."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    return path if ours and path.isprintable() else "/"


@router.post("/sign-out")
async def sign_out(request: Request, services: Open, person: Someone) -> Response:
    """End the session."""
    await _checked_form(request, person)
    response = RedirectResponse("/sign-in", 303)
    services.sessions.end(response)
    return response


async def _form(request: Request) -> dict[str, Any]:
    """Return a form that this site has sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ApiError(403, "this form was sent by another site")
    async with request.form(max_files=1, max_fields=10) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def _checked_form(request: Request, person: Person) -> dict[str, Any]:
    form = await _form(request)
    check_token(person, form.get("csrf"))
    return form


def check_token(person: Person, given: object) -> None:
    """Refuse a form without the session's token."""
    if not hmac.compare_digest(str(given).encode(), person.session.csrf.encode()):
        raise ApiError(403, "the form is too old; load the page anew")


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
    return _page(
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
    return _page(services, "rows.html", person, **values)


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


def _page(services: Open, name: str, person: Person, **values: Any) -> Response:
    return _render(services, name, person=person, csrf=person.session.csrf, **values)


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


@router.get("/jobs/{job_id}")
async def job(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Show one job: where it is and why, its steps, its log, error and result."""
    mine = services.jobs_of(person.caller)
    shown = await mine.status(job_id, with_input=True)
    lines = [line async for line in mine.logs(job_id)]
    told = await mine.explain(job_id)
    files = [
        {**file, "url": await services.links.to(file["key"]), "picture": _is_picture(file)}
        for file in files_of(shown.result)
    ]
    return _page(
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


def _is_picture(file: dict[str, Any]) -> bool:
    return str(file.get("format", "")).upper() in SHOWN_PICTURES


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


@router.post("/jobs/{job_id}/cancel")
async def cancel(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Ask a job to stop."""
    await _checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).cancel(job_id), job_id)


@router.post("/jobs/{job_id}/promote")
async def promote(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a job that waits for its time begin now."""
    await _checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).promote(job_id), job_id)


@router.post("/jobs/{job_id}/retry")
async def retry(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a job go on from its failed step, or make the attempt that it waits for."""
    await _checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).retry(job_id, now=True), job_id)


@router.post("/jobs/{job_id}/release")
async def release(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a held job go on."""
    await _checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).release(job_id), job_id)


async def _acted(act: Any, job_id: str) -> Response:
    back = f"/jobs/{quote(job_id)}"
    try:
        await act
    except ConveyorError as error:
        return RedirectResponse(f"{back}?{urlencode({'wrong': str(error)[:300]})}", 303)
    return RedirectResponse(back, 303)


@router.post("/pictures")
async def picture(request: Request, services: Open, person: Someone) -> Response:
    """Upload a picture and have it resized."""
    person.caller.require(Scope.WRITE)
    services.rates.take(person.caller.name)
    async with request.form(max_files=1, max_fields=10) as form:
        check_token(person, form.get("csrf"))
        file, width = form.get("file"), str(form.get("width", ""))
        if not isinstance(file, UploadFile) or not file.filename:
            return _back("choose a picture")
        try:
            record = await store_image(services, person.caller, file.filename, pieces_of(file))
        except ApiError as error:
            return _back(str(error))
    wanted = int(width) if width.isascii() and width.isdigit() else DEFAULT_WIDTH
    data = {
        "image_id": record.id,
        "operations": [{"type": "resize", "width": wanted}, {"type": "compress", "quality": 82}],
    }
    try:
        made = await start(services, person.caller, NewJob(kind="image", input=data), None)
    except ApiError as error:
        return _back("; ".join(problem.detail for problem in error.errors) or str(error))
    return RedirectResponse(f"/jobs/{quote(made.id)}", 303)


def _back(wrong: str) -> Response:
    return RedirectResponse(f"/?{urlencode({'wrong': wrong[:300]})}", 303)
