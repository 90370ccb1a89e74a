"""What is answered when something is wrong: RFC 9457 problems, one shape for every error.

A browser that asks for a page is shown the same as a page.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from temporalio.service import RPCError, RPCStatusCode

from api.reference import environment
from jobs.encryption import EncryptionKeyMissing
from jobs.errors import (
    ConflictError,
    ConveyorError,
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    PermanentError,
    Problem,
    ScheduleNotFoundError,
    ServerUnreachableError,
    TransientError,
)
from jobs.files import ObjectNotFound

log: Final = logging.getLogger(__name__)

Handler = Callable[[Request, Exception], Awaitable[Response]]

MEDIA_TYPE: Final = "application/problem+json"
PAGE_POLICY: Final = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
NOTHING_HERE: Final = "there is no such thing here"
"""The same words for what never was, is gone, or is another owner's."""
RETRY_AFTER_S: Final = 5
"""When to come again to a service whose server, database or storage is away."""
SLUGS: Final = {
    HTTPStatus.BAD_REQUEST: "malformed-request",
    HTTPStatus.UNAUTHORIZED: "no-valid-key",
    HTTPStatus.FORBIDDEN: "not-allowed",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_TIMEOUT: "too-slow",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid-input",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many-requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class FieldProblem(BaseModel):
    """One thing that is wrong: where, and how to mend it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    pointer: str | None = None
    """JSON pointer into the body, ``/input/operations/0/width``."""
    parameter: str | None = None
    """Name of a parameter of the path, the query or the head, instead of ``pointer``."""
    detail: str


class ProblemDetails(BaseModel):
    """A problem, RFC 9457."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=["urn:conveyor:problem:invalid-input"])
    """Which problem; programs go by it."""
    title: str
    status: int
    detail: str | None = None
    """What is wrong here, and how to mend it."""
    errors: list[FieldProblem] = Field(default_factory=list)


class ApiError(Exception):
    """Refuses a request with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors
        self.headers = headers


def details(
    status: int, detail: str | None = None, *, errors: Sequence[FieldProblem] = ()
) -> ProblemDetails:
    """Return the problem of a status."""
    known = HTTPStatus(status)
    slug = SLUGS.get(known, known.phrase.lower().replace(" ", "-"))
    return ProblemDetails(
        type=f"urn:conveyor:problem:{slug}",
        title=known.phrase,
        status=status,
        detail=detail,
        errors=list(errors),
    )


def respond(problem: ProblemDetails, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as an answer."""
    body = to_json(problem, exclude_none=True, inf_nan_mode="null")
    return Response(body, problem.status, headers, media_type=MEDIA_TYPE)


def pointer(field: str, *, below: str = "") -> str:
    """Return the JSON pointer of a dotted path."""
    parts = [part.replace("~", "~0").replace("/", "~1") for part in field.split(".") if field]
    return "/".join(["", *filter(None, [below]), *parts])


def field_problems(problems: Sequence[Problem], *, below: str = "") -> list[FieldProblem]:
    """Return problems of an input with their pointers; ``below`` is where the input lies."""
    return [
        FieldProblem(parameter=problem.field, detail=problem.message)
        if problem.field == "Idempotency-Key"
        else FieldProblem(
            pointer=pointer(problem.field, below="" if problem.field == "kind" else below),
            detail=problem.message,
        )
        for problem in problems
    ]


def of_error(error: Exception, *, below: str = "") -> tuple[ProblemDetails, dict[str, str]]:
    """Return the problem that an error of ``jobs.errors`` is, and the headers that go with it."""
    match error:
        case ApiError():
            problem = details(error.status, str(error), errors=error.errors)
            return problem, dict(error.headers or {})
        case InvalidInputError():
            errors = field_problems(error.problems, below=below)
            return details(422, "the input is not valid; nothing was started", errors=errors), {}
        case JobNotFoundError() | ScheduleNotFoundError() | ObjectNotFound():
            return details(404, NOTHING_HERE), {}
        case ConflictError() | JobFailedError() | JobCancelledError():
            return details(409, str(error)), {}
        case ServerUnreachableError() | TransientError():
            detail = "the service can't do this now; come again later"
            return details(503, detail), {"Retry-After": str(RETRY_AFTER_S)}
        case EncryptionKeyMissing():
            return details(503, str(error)), {}
        case ConveyorError() | PermanentError():
            return details(422, str(error)), {}
        case _:
            raise error


async def _known(_: Request, error: Exception) -> Response:
    return respond(*of_error(error))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type; Starlette calls by class
    missing = error.status_code == HTTPStatus.NOT_FOUND
    detail = NOTHING_HERE if missing else str(error.detail)
    return respond(details(error.status_code, detail), error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    """Answer for what FastAPI has found wrong in parameters or body."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    found: list[FieldProblem] = []
    for problem in error.errors():
        if problem["type"] == "json_invalid":
            return respond(details(400, "the body is no JSON"))
        where, *path = problem["loc"]
        message = str(problem["msg"]).removeprefix("Value error, ")
        if where == "body":
            place = pointer(".".join(str(part) for part in path))
            found.append(FieldProblem(pointer=place, detail=message))
        else:
            found.append(FieldProblem(parameter=str(path[0]) if path else where, detail=message))
    return respond(details(422, "the request is not valid", errors=found))


async def _rpc(_: Request, error: Exception) -> Response:
    """Answer for what the Temporal server refuses; its words stay in the log."""
    assert isinstance(error, RPCError)  # noqa: S101 - as above
    log.warning("the server refused a call", extra={"status": error.status.name})
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return respond(details(422, "the server did not accept a value of the request"))
    problem = details(503, "the service can't do this now; come again later")
    return respond(problem, {"Retry-After": str(RETRY_AFTER_S)})


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"route": request.scope.get("path", "")})
    return respond(details(500, "an unexpected error; it is in the service's log"))


def install(app: FastAPI) -> None:
    """Have every error answered as a problem, to a person as a page."""
    for kind in (ApiError, ConveyorError, TransientError, PermanentError):
        app.add_exception_handler(kind, _for_whom(_known))
    app.add_exception_handler(HTTPException, _for_whom(_http))
    app.add_exception_handler(RequestValidationError, _for_whom(_invalid))
    app.add_exception_handler(RPCError, _for_whom(_rpc))
    app.add_exception_handler(Exception, _for_whom(_unexpected))


def _for_whom(answer: Handler) -> Handler:
    async def answering(request: Request, error: Exception) -> Response:
        response = await answer(request, error)
        browsing = request.headers.get("accept", "").startswith("text/html")
        return _as_page(response) if browsing else response

    return answering


def _as_page(response: Response) -> Response:
    problem = ProblemDetails.model_validate_json(bytes(response.body))
    kept = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
    return HTMLResponse(
        environment().get_template("problem.html").render(problem=problem),
        response.status_code,
        {**kept, "Content-Security-Policy": PAGE_POLICY},
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of problems that a route may answer with."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
