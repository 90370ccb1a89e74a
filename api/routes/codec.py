"""Decrypts for the Temporal Web UI and command line: Temporal's remote codec protocol.

``{"payloads": [...]}`` in Temporal's own JSON goes in, and the same with the payloads decoded or
encoded comes out. A browser calls from the Web UI's origin, by the session of an administrator who
is signed in here; a program sends an administrator's key or token.
"""

import base64
import logging
from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope
from temporalio.api.common.v1 import Payloads
from temporalio.converter import PayloadCodec

from api.access import Caller, bearer, identified, no_valid_key
from api.answers import Body, answer
from api.problems import ApiError, documented
from api.services import Open, Services
from api.sessions import COOKIE
from jobs.access import Scope

log: Final = logging.getLogger(__name__)

router = APIRouter(prefix="/codec", tags=["service"])

PREFIX: Final = "/codec/"
MAX_BYTES: Final = 16 * 1024 * 1024
"""Above the largest page of a history, in base64."""
PROBLEMS: Final = documented(400, 401, 403, 413, 415, 422, 503)


def check_base64(value: str) -> str:
    """Refuse what is not base64; protobuf's own reader leaves out what it does not know."""
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        msg = "is not base64"
        raise ValueError(msg) from None
    return value


Base64 = Annotated[str, AfterValidator(check_base64), Field(json_schema_extra={"format": "byte"})]


class CodecPayload(BaseModel):
    """One payload, as Temporal writes it in JSON; the values are base64."""

    model_config = ConfigDict(extra="allow")

    metadata: dict[str, Base64] = Field(
        default_factory=dict, examples=[{"encoding": "anNvbi9wbGFpbg=="}]
    )
    data: Base64 = Field(default="", examples=["ImhlbGxvIg=="])


class CodecPayloads(Body):
    """Payloads to decode or to encode."""

    payloads: list[CodecPayload] = Field(max_length=10_000)


class CodecCors:
    """Lets the Web UI's pages call the codec, with the cookie of someone who is signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._app
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            app = CORSMiddleware(
                app,
                allow_origins=_origins(scope["app"].state.services),
                allow_methods=["POST"],
                allow_headers=["Authorization", "Content-Type", "X-Namespace"],
                allow_credentials=True,
                max_age=600,
            )
        await app(scope, receive, send)


def _origins(services: Services) -> Sequence[str]:
    """Return the Web UI's origin, as browsers write it; its address is known once we serve."""
    parts = urlsplit(services.jobs.ui_url or "")
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []


async def _administrator(
    request: Request,
    services: Open,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return who calls, by key, token or session; only an administrator may."""
    if credentials is None and COOKIE in request.cookies:
        caller = await _of_session(request, services)
    else:
        caller = await identified(request, credentials)
    caller.require(Scope.ADMIN)
    return caller


async def _of_session(request: Request, services: Services) -> Caller:
    """Return who is signed in; a page of another site than the Web UI can't use the session."""
    if request.headers.get("origin") not in _origins(services):
        raise ApiError(403, "sessions are for the Web UI alone: CONVEYOR_TEMPORAL_UI_URL names it")
    session = services.sessions.read(request.cookies.get(COOKIE))
    caller = await services.gate.of_key(session.key_id) if session else None
    if caller is None:
        raise no_valid_key()
    return caller


Administrator = Annotated[Caller, Depends(_administrator)]


@router.post("/decode", response_model=None, responses={200: {"model": CodecPayloads}, **PROBLEMS})
async def decode(caller: Administrator, services: Open, body: CodecPayloads) -> Response:
    """Decrypt payloads; a plain one comes back as it is."""
    payloads = _parse(body)
    if codec := _codec(services):
        await codec.decode_wrapper(payloads)
    log.info(
        "payloads were decrypted", extra={"caller": caller.name, "count": len(payloads.payloads)}
    )
    return answer(_shown(payloads))


@router.post("/encode", response_model=None, responses={200: {"model": CodecPayloads}, **PROBLEMS})
async def encode(_: Administrator, services: Open, body: CodecPayloads) -> Response:
    """Encrypt payloads, for what is entered in the Web UI or the ``temporal`` command line."""
    payloads = _parse(body)
    if codec := _codec(services):
        await codec.encode_wrapper(payloads)
    return answer(_shown(payloads))


def _codec(services: Services) -> PayloadCodec | None:
    return services.jobs.temporal.data_converter.payload_codec


def _parse(body: CodecPayloads) -> Payloads:
    try:
        return ParseDict(body.model_dump(), Payloads(), ignore_unknown_fields=True)
    except ParseError:
        raise ApiError(422, "a payload has a field that Temporal's do not have") from None


def _shown(payloads: Payloads) -> dict[str, Any]:
    return {"payloads": [MessageToDict(payload) for payload in payloads.payloads]}
