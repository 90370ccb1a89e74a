"""Who looks at the pages: a session, its caller, and forms that only they can send."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from api.access import Caller
from api.problems import ApiError
from api.services import Open
from api.sessions import COOKIE, Session
from jobs.access import Scope

FOR_SCRIPT: Final = ("/rows", "/events", "/explanation")
"""Ends of paths that the script asks for, and not people."""


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


async def person_of(request: Request, services: Open) -> Person:
    """Return who has begun the session of the request's cookie.

    Raises:
        NotSignedIn: nobody, or the key is no more.
    """
    session = services.sessions.read(request.cookies.get(COOKIE))
    caller = await services.gate.of_key(session.key_id) if session else None
    if session is None or caller is None:
        raise NotSignedIn
    return Person(caller, session)


Someone = Annotated[Person, Depends(person_of)]


async def to_sign_in(request: Request, _: Exception) -> Response:
    """Send whoever is not signed in to the page where they can be."""
    if request.method != "GET" or request.url.path.endswith(FOR_SCRIPT):
        return Response(status_code=401)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'then': back})}", 303)


async def form_of(request: Request) -> dict[str, Any]:
    """Return a form that this site has sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ApiError(403, "this form was sent by another site")
    async with request.form(max_files=1, max_fields=10) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def checked_form(request: Request, person: Person) -> dict[str, Any]:
    """Return a form of the session that this site has sent."""
    form = await form_of(request)
    check_token(person, form.get("csrf"))
    return form


def check_token(person: Person, given: object) -> None:
    """Refuse a form without the session's token."""
    if not hmac.compare_digest(str(given).encode(), person.session.csrf.encode()):
        raise ApiError(403, "the form is too old; load the page anew")
