"""HTTP to strangers: posts to webhook endpoints, and never into a private network.

The guard stands where a socket is made, on the address that will be dialled: for literals and for
every address that a name resolves to. What a URL's text says, what an earlier lookup answered, a
redirect or a proxy of the environment can't get around it. Names with any private address are
refused whole. Measured: ``docs/jobs/delivery.md``.
"""

import errno
import ipaddress
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from typing_extensions import override

from adapters.tracing import span
from jobs._version import __version__
from jobs.deliveries import LOGGED_BYTES, RESPONSE_BYTES
from jobs.deliveries.answers import ADDRESS_REFUSED, Answer

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONNECT_S: Final = 5
CONNECTIONS: Final = 200
USER_AGENT: Final = f"Conveyor/{__version__}"
KEPT_HEADERS: Final = ("content-type", "retry-after", "location")
KEPT_HEADER_CHARACTERS: Final = 256
CONTROL: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")
REQUEST_TOO_SLOW: Final = "EndpointTimeout"

NOT_PUBLIC_V4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6: Final = tuple(
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class AddressRefused(OSError):
    """The address is not one of the public internet, and no setting allows it.

    An ``OSError`` with a number: the HTTP client carries such a one to its caller whole.
    """

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the endpoint's name leads into a private network")


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Tells which addresses may be dialled."""

    allowed: tuple[Network, ...] = ()
    """Networks that are allowed besides the public internet."""

    @classmethod
    def of(cls, networks: Sequence[str]) -> "AddressGuard":
        """Return a guard that also allows ``networks``, written as CIDR."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks))

    def check(self, host: str) -> None:
        """Raise ``AddressRefused`` unless the literal address ``host`` may be dialled."""
        try:
            address: Address = ipaddress.ip_address(host)
        except ValueError:
            raise AddressRefused from None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        allowed = any(address in network for network in self.allowed)
        if not allowed and not is_public(address):
            raise AddressRefused

    def open_socket(
        self,
        info: tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]],
    ) -> socket.socket:
        """Return a socket for one address, just before it is dialled."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened


def is_public(address: Address) -> bool:
    """Tell whether ``address`` belongs to the public internet.

    An explicit table, since ``ipaddress.is_global`` passes multicast, NAT64, 6to4 and more.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in NOT_PUBLIC_V4)
    return (
        address.scope_id is None
        and address in PUBLIC_V6
        and not any(address in block for block in NOT_PUBLIC_V6)
    )


class CheckedResolver(AbstractResolver):
    """Refuses a name when any of its addresses may not be dialled."""

    def __init__(self, guard: AddressGuard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._guard.check(result["host"])
        return found

    @override
    async def close(self) -> None:
        await self._inner.close()


@dataclass(slots=True)
class Dial:
    """What one request's connection cost."""

    began: float = field(default_factory=time.perf_counter)
    connected_ms: float | None = None
    remote_address: str | None = None


current_dial: Final[ContextVar[Dial | None]] = ContextVar("current_dial", default=None)


class MeasuringConnector(aiohttp.TCPConnector):
    """Notes the address and the time of each connection in ``current_dial``."""

    @override
    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        dial = current_dial.get()
        if dial is not None and connection.transport is not None:
            peer = connection.transport.get_extra_info("peername")
            dial.remote_address = str(peer[0]) if peer else None
            dial.connected_ms = _ms_since(dial.began)
        return connection


class WebhookSender:
    """Posts to webhook endpoints over kept connections; one per process.

    Use it as an async context manager, or ``close`` it.
    """

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @classmethod
    def open(
        cls,
        *,
        allowed_networks: Sequence[str] = (),
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> "WebhookSender":
        """Return a sender; call it in the event loop that will use it.

        Args:
            allowed_networks: Networks (CIDR) that may be dialled besides the public internet.
            resolver: Looks names up; default: the system's.
            tls: Default: the system's authorities.
        """
        guard = AddressGuard.of(allowed_networks)
        connector = MeasuringConnector(
            socket_factory=guard.open_socket,
            resolver=CheckedResolver(guard, resolver or aiohttp.ThreadedResolver()),
            use_dns_cache=False,
            limit=CONNECTIONS,
            ssl=tls or ssl.create_default_context(),
        )
        return cls(
            aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=["Accept-Encoding"],
                headers={"user-agent": USER_AGENT},
            )
        )

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float
    ) -> Answer:
        """Post ``body`` and return what came of it; a failure is an answer too.

        Reads at most ``RESPONSE_BYTES`` of the response, follows no redirect, sends no cookie, and
        ends after ``timeout_s`` whatever the other side does.
        """
        size = len(body)
        with span("http.post", http_request_method="POST", http_request_body_size=size) as traced:
            answer = await self._measured(url, body, headers, timeout_s)
            if answer.status is not None:
                traced.set_attribute("http.response.status_code", answer.status)
            if answer.error_type is not None:
                traced.set_attribute("error.type", answer.error_type)
            return answer

    async def _measured(
        self, url: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> Answer:
        dial = Dial()
        token = current_dial.set(dial)
        try:
            answer = await self._post(url, body, headers, timeout_s)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            answer = _failure(error, timeout_s)
        finally:
            current_dial.reset(token)
        return answer.model_copy(
            update={
                "remote_address": dial.remote_address,
                "connect_ms": dial.connected_ms,
                "total_ms": _ms_since(dial.began),
                "sent_bytes": len(body),
            }
        )

    async def _post(
        self, url: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> Answer:
        began = time.perf_counter()
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        async with self._http.post(
            url, data=body, headers=headers, allow_redirects=False, timeout=limits
        ) as response:
            first_byte_ms = _ms_since(began)
            start = await _read_start(response)
            return Answer(
                status=response.status,
                headers=_kept(response.headers),
                text=CONTROL.sub("", start[:LOGGED_BYTES].decode(errors="replace")),
                first_byte_ms=first_byte_ms,
            )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def _read_start(response: aiohttp.ClientResponse) -> bytes:
    """Return the start of the body; close the connection if there is more."""
    start = bytearray()
    async for chunk in response.content.iter_chunked(RESPONSE_BYTES):
        start += chunk
        if len(start) >= RESPONSE_BYTES:
            response.close()
            break
    return bytes(start[:RESPONSE_BYTES])


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: headers[name][:KEPT_HEADER_CHARACTERS] for name in KEPT_HEADERS if name in headers
    }
    if "location" in kept:  # a query may hold secrets
        kept["location"] = kept["location"].partition("?")[0]
    return kept


def _failure(error: Exception, timeout_s: float) -> Answer:
    """Say what went wrong in words for the endpoint's owner, who may know the address."""
    match error:
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, AddressRefused):
            kind, text = ADDRESS_REFUSED, str(error.os_error.strerror)
        case aiohttp.ClientConnectorDNSError():
            kind, text = "EndpointNameUnknown", "the endpoint's name can't be resolved"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "not valid"
            kind, text = "EndpointCertificateInvalid", f"the endpoint's certificate: {reason}"
        case aiohttp.ClientSSLError():
            kind, text = "EndpointTlsFailed", "the TLS handshake with the endpoint failed"
        case aiohttp.ClientConnectorError():
            reason = os.strerror(error.os_error.errno or errno.EHOSTUNREACH)
            kind, text = "EndpointUnreachable", f"the endpoint can't be reached: {reason}"
        case TimeoutError():
            kind, text = REQUEST_TOO_SLOW, f"no whole answer within {timeout_s:g} s"
        case aiohttp.ClientResponseError():
            kind, text = (
                "EndpointNotHttp",
                "the endpoint's answer is not HTTP, or its head too large",
            )
        case aiohttp.InvalidURL() | ValueError():
            kind, text = "EndpointUrlInvalid", "the endpoint's URL is not valid"
        case _:
            kind, text = "EndpointHungUp", "the endpoint closed the connection early"
    return Answer(error_type=kind, error=text)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
