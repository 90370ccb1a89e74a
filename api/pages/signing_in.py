"""Signing in with a key, and out; style and script."""

from pathlib import Path as FilePath
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.pages.people import Someone, checked_form, form_of
from api.pages.rendering import render
from api.problems import ApiError
from api.services import Open
from jobs.access import key_id_of

router = APIRouter(include_in_schema=False)
STATIC: Final = FilePath(__file__).parent.parent / "static"
STATIC_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript"}


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
    return render(services, "sign-in.html", then=_inside(then), wrong=False)


@router.post("/sign-in")
async def sign_in(request: Request, services: Open) -> Response:
    """Begin a session."""
    form = await form_of(request)
    key, then = str(form.get("key", "")).strip(), _inside(str(form.get("then", "/")))
    key_id = key_id_of(key)
    try:
        await services.gate.identify(key)
    except ApiError:
        key_id = None
    if key_id is None:
        return render(services, "sign-in.html", 401, then=then, wrong=True)
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
    await checked_form(request, person)
    response = RedirectResponse("/sign-in", 303)
    services.sessions.end(response)
    return response
