"""Posting to webhook endpoints: what is dialled, what is read, and how failures are told."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from adapters.http import AddressGuard, AddressRefused, WebhookSender
from jobs.deliveries import LOGGED_BYTES
from jobs.deliveries.answers import Answer

LOOPBACK = ["127.0.0.0/8", "::1/128"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A web server on every loopback address that counts what reaches it."""

    port: int
    requests: list[dict[str, str]] = field(default_factory=list)
    handler: Handler | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append({key.lower(): value for key, value in request.headers.items()})
        return await self.handler(request) if self.handler else web.Response(status=204)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass
class NamedAddresses(AbstractResolver):
    """Answers each lookup with the next list of addresses."""

    answers: list[list[str]]

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    @override
    async def close(self) -> None:
        pass


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    counting = Receiver(port=0)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", counting.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    counting.port = runner.addresses[0][1]
    await web.TCPSite(runner, "::1", counting.port).start()
    yield counting
    await runner.cleanup()


async def post(sender: WebhookSender, url: str, *, timeout_s: float = 60) -> Answer:
    return await sender.post(url, b"{}", {"content-type": "application/json"}, timeout_s=timeout_s)


TRICKS = [
    "http://127.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:169.254.169.254]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://localhost:{port}/",
    "http://169.254.169.254:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://224.0.0.1:{port}/",
    "http://[ff02::1]:{port}/",
    "http://100.64.0.1:{port}/",
    "http://192.88.99.1:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[2001:db8::1]:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@localhost:{port}/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nHost: example.com/",
    "http:///127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://0.0.0.0:{port}/",
]
NAMES = [
    ["10.0.0.1"],
    ["0.0.0.0"],  # noqa: S104 (an address that must be refused)
    ["169.254.169.254"],
    ["fd00:ec2::254"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["2001:0:7f00:1::"],
    ["fec0::1"],
    ["127.0.0.1"],
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_spelling_of_a_private_address_reaches_the_server(
    trick: str, receiver: Receiver
) -> None:
    async with WebhookSender.open() as sender:
        answer = await post(sender, trick.format(port=receiver.port), timeout_s=2)
    assert receiver.requests == []
    assert answer.status is None
    assert answer.error_type


@pytest.mark.parametrize("addresses", NAMES)
async def test_no_name_that_leads_to_a_private_address_reaches_the_server(
    addresses: list[str], receiver: Receiver
) -> None:
    resolver = NamedAddresses([addresses])
    async with WebhookSender.open(resolver=resolver) as sender:
        answer = await post(sender, f"http://hooks.example.com:{receiver.port}/")
    assert receiver.requests == []
    assert answer.error_type == "EndpointAddressRefused"


async def test_a_name_with_a_public_and_a_private_address_is_refused_whole(
    receiver: Receiver,
) -> None:
    resolver = NamedAddresses([["93.184.215.14", "127.0.0.1"]])
    async with WebhookSender.open(resolver=resolver) as sender:
        answer = await post(sender, f"http://hooks.example.com:{receiver.port}/")
    assert (receiver.requests, answer.error_type) == ([], "EndpointAddressRefused")


async def test_a_rebinding_name_reaches_nothing_by_its_second_answer(receiver: Receiver) -> None:
    resolver = NamedAddresses([["203.0.113.1"], ["127.0.0.1"]])
    async with WebhookSender.open(allowed_networks=["203.0.113.0/24"], resolver=resolver) as sender:
        first = await post(sender, f"http://hooks.example.com:{receiver.port}/", timeout_s=1)
        second = await post(sender, f"http://hooks.example.com:{receiver.port}/")
    assert first.error_type in {"EndpointUnreachable", "EndpointTimeout"}
    assert second.error_type == "EndpointAddressRefused"
    assert receiver.requests == []


async def test_an_allowed_network_is_reached_also_in_its_mapped_form(receiver: Receiver) -> None:
    guard = AddressGuard.of(LOOPBACK)
    guard.check("::ffff:127.0.0.1")
    with pytest.raises(AddressRefused):
        guard.check("10.0.0.1")
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.remote_address) == (204, "127.0.0.1")


async def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": receiver.url("/other?token=x")})

    receiver.handler = redirect
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.headers["location"]) == (302, receiver.url("/other"))
    assert len(receiver.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url())
    assert answer.status == 204
    assert "accept-encoding" not in receiver.requests[0]


async def test_a_compressed_bomb_is_read_to_the_first_kilobytes_only(receiver: Receiver) -> None:
    async def bomb(request: web.Request) -> web.Response:
        return web.Response(
            body=gzip.compress(bytes(20_000_000)), headers={"content-encoding": "gzip"}
        )

    receiver.handler = bomb
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url())
    assert answer.status == 200
    assert len(answer.text) <= LOGGED_BYTES


async def test_a_dripping_receiver_is_cut_off_at_the_total_limit(receiver: Receiver) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b".")
            await asyncio.sleep(0.1)
        return response

    receiver.handler = drip
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url(), timeout_s=0.5)
    assert answer.error_type == "EndpointTimeout"


async def raw_answer(reply: bytes | None) -> Answer:
    """Post to a bare socket that sends ``reply`` and closes, or resets for None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if reply is None:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        port = server.sockets[0].getsockname()[1]
        return await post(sender, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (None, "EndpointHungUp"),
        (b"", "EndpointHungUp"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "EndpointNotHttp"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 2_000_000 + b"\r\n\r\n", "EndpointNotHttp"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "EndpointHungUp"),
    ],
)
async def test_a_receiver_that_speaks_no_proper_http_is_told_by_class(
    reply: bytes | None, error_type: str
) -> None:
    answer = await raw_answer(reply)
    assert answer.error_type == error_type


async def test_what_cannot_be_reached_or_trusted_is_told_by_class(receiver: Receiver) -> None:
    strict = ssl.create_default_context()
    async with WebhookSender.open(allowed_networks=LOOPBACK, tls=strict) as sender:
        with socket.socket() as deaf:  # bound and not listening: nobody else takes its port
            deaf.bind(("127.0.0.1", 0))
            refused = await post(sender, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        not_tls = await post(sender, f"https://127.0.0.1:{receiver.port}/")
        unknown = await post(sender, "http://no-such-host.invalid/")
    assert refused.error_type == "EndpointUnreachable"
    assert not_tls.error_type == "EndpointTlsFailed"
    assert unknown.error_type == "EndpointNameUnknown"
    assert "127.0.0.1" not in f"{refused.error}{not_tls.error}"


async def test_control_characters_of_an_answer_are_not_logged(receiver: Receiver) -> None:
    async def garble(request: web.Request) -> web.Response:
        return web.Response(body=b"ok\x1b[31m\x00\xff!", content_type="text/plain")

    receiver.handler = garble
    async with WebhookSender.open(allowed_networks=LOOPBACK) as sender:
        answer = await post(sender, receiver.url())
    assert answer.text == "ok[31m\ufffd!"
