"""Limits on requests and headers on answers, before and after every route. Plain ASGI."""

import asyncio
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import details, respond

JSON_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
OTHER_BODIES: Final = ("/v1/images", "/v1/hooks/", "/v1/unsubscribe/")
"""Paths below ``/v1`` whose bodies are no JSON, or are judged by the route."""
BODY_TIMEOUT_S: Final = 30.0
"""Longest wait for the next piece of a body."""
BULK_FACTOR: Final = 10

COMMON_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
HSTS: Final = "max-age=31536000"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Refuses bodies that are too large, too slow, or not JSON where JSON is wanted."""

    app: ASGIApp
    max_json: int
    larger: Mapping[str, int] = field(default_factory=dict)
    """Other limits, by the beginning of the path; the longest that fits counts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path: str = scope["path"]
        limit = self._limit(path)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            problem = details(413, f"the body may have {limit:,} bytes at most")
            await respond(problem)(scope, receive, send)
            return
        if _wrong_type(scope["method"], path, headers):
            problem = details(415, "send the body as application/json, not compressed")
            await respond(problem)(scope, receive, send)
            return
        await self.app(scope, _counted(receive, limit), send)

    def _limit(self, path: str) -> int:
        fitting = [prefix for prefix in self.larger if path.startswith(prefix)]
        return self.larger[max(fitting, key=len)] if fitting else self.max_json


def _wrong_type(method: str, path: str, headers: Headers) -> bool:
    judged = path.startswith(("/v1/", "/codec/")) and not path.startswith(OTHER_BODIES)
    image_order = path.startswith("/v1/images/")
    if method not in JSON_METHODS or not (judged or image_order):
        return False
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoded = headers.get("content-encoding", "identity").strip().lower() != "identity"
    return has_body and (kind != "application/json" or encoded)


def _counted(receive: Receive, limit: int) -> Receive:
    """Return ``receive`` that refuses more than ``limit`` bytes, and long waits for them."""
    seen = 0
    done = False

    async def counted() -> Message:
        nonlocal seen, done
        if done:  # what comes now is the end of the connection, which may be long off
            return await receive()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body came too slowly") from None
        seen += len(message.get("body", b""))
        done = not message.get("more_body", False)
        if seen > limit:
            raise HTTPException(413, f"the body may have {limit:,} bytes at most")
        return message

    return counted


@dataclass(frozen=True, slots=True)
class SafeHeaders:
    """Sets the headers that every answer has, unless the route has set them."""

    app: ASGIApp
    https: bool
    """Whether people reach the service over HTTPS."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        api = scope["path"].startswith(("/v1/", "/codec/"))

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", API_POLICY)
                if api:
                    headers.setdefault("Cache-Control", "no-store")
                if self.https:
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        await self.app(scope, receive, with_headers)
