"""Webhooks from the command line: endpoints and their deliveries, events that come in."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import standardwebhooks
from typing_extensions import override

from tests.end_to_end.installation import Answer, Installation

pytestmark = pytest.mark.slow

SOURCES = {"github": {"scheme": "github", "secrets": ["hush"]}}
OPEN = {
    "CONVEYOR_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    "CONVEYOR_WEBHOOK_ALLOW_HTTP": "true",
    "CONVEYOR_WEBHOOK_ALLOW_PORTS": "true",
    "CONVEYOR_WEBHOOK_SOURCES": json.dumps(SOURCES),
}
PUSH = {
    "ref": "refs/heads/main",
    "before": "a" * 40,
    "after": "b" * 40,
    "commits": [],
    "repository": {"full_name": "acme/shop", "pushed_at": 1_790_000_000},
}


@dataclass
class Receiver:
    """A web server that answers with the next status, the last one for ever."""

    statuses: list[int]
    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests.append((dict(self.headers.items()), body))
            more = len(receiver.statuses) > 1
            self.send_response(receiver.statuses.pop(0) if more else receiver.statuses[0])
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?token=hush"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_endpoint_is_registered_tested_looked_at_and_replayed(
    installation: Installation,
) -> None:
    with receiving(500, 204) as receiver, installation.worker(**OPEN):
        document = json.dumps({"schedule": ["PT0S"]})
        added = installation.run(
            *("endpoints", "add", "--url", receiver.url, "--input", "-", "--json"),
            stdin=document,
            **OPEN,
        )
        assert added.code == 0, added.err
        endpoint, key = added.json()["id"], added.json()["key"]
        test = installation.run("endpoints", "test", endpoint, **OPEN)
        installation.until(test.out.strip(), "completed")
        verify_last(receiver, key)
        missed = installation.run("endpoints", "replay", endpoint, "--all", "--dry-run", **OPEN)
        assert len(missed.out.splitlines()) == 1
        again = installation.run("endpoints", "replay", endpoint, "--all", "-y", **OPEN)
        installation.until(again.out.strip(), "completed")
        verify_last(receiver, key)
        listed = installation.run("endpoints", "deliveries", endpoint, "--json", **OPEN).json()
        shown = installation.run("endpoints", "attempts", listed[0]["id"], "--json", **OPEN)
    assert {delivery["state"] for delivery in listed} == {"failed", "delivered"}
    assert len(receiver.requests) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    assert shown.json()["attempts"][0]["answer"]["status"] == 204
    assert "hush" not in shown.out
    assert key not in listed[0]["id"] + shown.out


def verify_last(receiver: Receiver, key: str) -> None:
    """Verify the signature of the last request, which is good for five minutes."""
    headers, body = receiver.requests[-1]
    standardwebhooks.Webhook(key).verify(body, headers)


def test_an_endpoint_into_the_private_network_is_refused_at_the_dial(
    installation: Installation,
) -> None:
    closed = {**OPEN, "CONVEYOR_WEBHOOK_ALLOWED_NETWORKS": ""}
    with receiving(204) as receiver, installation.worker(**closed):
        added = installation.run("endpoints", "add", "--url", receiver.url, "--json", **closed)
        endpoint = added.json()["id"]
        test = installation.run("endpoints", "test", endpoint, **closed)
        event = installation.until(test.out.strip(), "completed")
        failed = installation.status(f"delivery-{test.out.strip()}:{endpoint}")
    assert event["result"]["failed"] == 1
    assert failed["error"]["type"] == "EndpointAddressRefused"
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hooks.example.com/", "https"),
        ("https://user:hush@hooks.example.com/", "user or password"),
        ("https://localhost/", "full host name"),
        ("https://hooks.example.com:8443/", "port 443"),
    ],
)
def test_a_wrong_url_is_refused_with_the_reason(
    installation: Installation, url: str, told: str
) -> None:
    answer = installation.run("endpoints", "add", "--url", url)
    assert (answer.code, told in answer.err) == (2, True)


def receive(installation: Installation, event_id: str, *, key: bytes = b"hush") -> Answer:
    body = json.dumps(PUSH).encode()
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    (installation.folder / "body.json").write_bytes(body)
    (installation.folder / "headers.txt").write_text(
        "Content-Type: application/json\n"
        "X-GitHub-Event: push\n"
        f"X-GitHub-Delivery: {event_id}\n"
        f"X-Hub-Signature-256: sha256={digest}\n"
    )
    return installation.run(
        *("receive", "github", "--headers", "headers.txt", "--body", "body.json", "--json"),
        **OPEN,
    )


def test_an_event_received_three_times_is_handled_once(
    installation: Installation, unique: str
) -> None:
    with installation.worker(**OPEN):
        answers = [receive(installation, unique) for _ in range(3)]
        job = installation.until(f"webhook-github:{unique}", "completed")
    assert [answer.json()["status"] for answer in answers] == [202, 200, 200]
    assert [answer.json()["duplicate"] for answer in answers] == [False, True, True]
    assert job["result"]["outcome"] == "processed"
    listed = installation.run("inbound", "list", "--json", **OPEN).json()
    assert [(event["event_id"], event["attempts"]) for event in listed] == [(unique, 1)]


def test_a_forged_event_ends_with_2_and_leaves_nothing(
    installation: Installation, unique: str
) -> None:
    answer = receive(installation, unique, key=b"other")
    assert (answer.code, answer.json()) == (2, {"status": 401})
    assert installation.run("inbound", "list", "--json", **OPEN).json() == []


def test_an_event_is_kept_while_temporal_is_away(installation: Installation, unique: str) -> None:
    away = Installation(installation.folder, {"TEMPORAL_ADDRESS": "127.0.0.1:1", **OPEN})
    assert receive(away, unique).json()["status"] == 202
    listed = installation.run("inbound", "list", "--json", **OPEN).json()
    assert [event["state"] for event in listed] == ["received"]
