"""The door: what each wrong request is answered, and that nothing is stored or started for it."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from jobs.errors import TransientError
from jobs.signatures.schemes import Scheme
from jobs.webhooks import InboundRecord, InboundState, ProcessWebhook, job_key
from jobs.webhooks.door import Arrival, InboundDoor, Receipt
from jobs.webhooks.parsing import read_instant
from jobs.webhooks.sources import WebhookSource

NOW = 1_800_000_000
SECRET = "hush"  # noqa: S105 (the test's own)
GOOD = b'{"id": "evt_1", "type": "ping"}'


@dataclass
class Rows:
    """A store in memory."""

    rows: dict[tuple[str, str], Arrival] = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    async def add(self, arrival: Arrival) -> bool:
        if self.away:
            msg = "the database is away"
            raise TransientError(msg)
        key = (arrival.source, arrival.event_id)
        return self.rows.setdefault(key, arrival) is arrival

    async def started(self, source: str, event_id: str) -> None:
        self.begun.append((source, event_id))

    async def find(self, source: str, event_id: str) -> InboundRecord | None:
        return None

    async def set_state(self, source: str, event_id: str, state: InboundState) -> None:
        raise NotImplementedError


@dataclass
class Objects:
    """Storage in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)

    async def put(self, key: str, data: bytes, *, create: bool = False) -> object:
        return self.objects.setdefault(key, data)


@dataclass
class Jobs:
    """Remembers what was started."""

    started: list[tuple[ProcessWebhook, str, str]] = field(default_factory=list)

    async def start(self, job: ProcessWebhook, key: str, owner: str) -> None:
        self.started.append((job, key, owner))


@dataclass
class Porch:
    """A door, and what went through it."""

    rows: Rows = field(default_factory=Rows)
    objects: Objects = field(default_factory=Objects)
    jobs: Jobs = field(default_factory=Jobs)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        secrets = [SecretStr("old"), SecretStr(SECRET)]
        sources = {
            "github": WebhookSource(scheme=Scheme.GITHUB, secrets=secrets, **self.options),
            "stripe": WebhookSource(scheme=Scheme.STRIPE, secrets=secrets),
            "slack": WebhookSource(scheme=Scheme.SLACK, secrets=secrets),
        }
        self.door = InboundDoor(
            sources, self.rows, self.objects, self.jobs, clock=lambda: float(NOW)
        )

    async def github(self, body: bytes = GOOD, /, **changes: str) -> Receipt:
        headers = {
            "content-type": "application/json; charset=utf-8",
            "x-github-event": "push",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature-256": f"sha256={mac(body)}",
            **{name.replace("_", "-"): value for name, value in changes.items()},
        }
        return await self.door.receive("github", headers, body)

    @property
    def untouched(self) -> bool:
        return not (self.rows.rows or self.objects.objects or self.jobs.started)


def mac(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


async def test_a_good_request_is_stored_then_started_then_accepted() -> None:
    porch = Porch()
    receipt = await porch.github()
    assert (receipt.status, receipt.duplicate) == (202, False)
    [(job, key, _)] = porch.jobs.started
    assert job == ProcessWebhook(source="github", event_id=str(receipt.id))
    assert key == f"github:{receipt.id}"
    assert porch.rows.begun == [("github", receipt.id)]


BAD_BODIES = {
    "not UTF-8": b'{"a": "\xff"}',
    "not JSON": b"hello",
    "empty": b"",
    "100,000 brackets": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "NaN": b'{"a": NaN}',
    "infinite": b'{"a": 1e999}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice inside": b'{"b": [{"a": 1, "a": 2}]}',
    "no object": b"[1, 2]",
    "lone surrogate": b'{"a": "\\ud800"}',
    "gzip": b"\x1f\x8b\x08\x00",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_signed_body_that_is_no_strict_json_is_400_and_leaves_nothing(
    body: bytes,
) -> None:
    porch = Porch()
    assert (await porch.github(body)).status == 400
    assert porch.untouched


BAD_HEADERS = [
    ({"x_hub_signature_256": ""}, 401),
    ({"x_hub_signature_256": "sha256=" + "0" * 64}, 401),
    ({"x_hub_signature_256": "sha256=é"}, 400),
    ({"x_hub_signature_256": "sha256"}, 400),
    ({"x_hub_signature_256": "sha256=" + "0" * 9000}, 400),
    ({"x_github_delivery": ""}, 400),
    ({"x_github_delivery": "a b"}, 400),
    ({"x_github_delivery": "a\nb"}, 400),
    ({"x_github_delivery": "ä"}, 400),
    ({"x_github_delivery": "x" * 256}, 400),
    ({"content_type": "text/xml"}, 415),
    ({"content_type": ""}, 415),
    ({"content_encoding": "gzip"}, 415),
]


@pytest.mark.parametrize(("changes", "status"), BAD_HEADERS)
async def test_each_wrong_header_has_its_status_and_leaves_nothing(
    changes: dict[str, str], status: int
) -> None:
    porch = Porch()
    assert (await porch.github(**changes)).status == status
    assert porch.untouched


async def test_an_unknown_source_is_404() -> None:
    porch = Porch()
    assert (await porch.door.receive("gitlab", {}, GOOD)).status == 404
    assert porch.door.max_bytes("gitlab") is None


async def test_a_body_over_the_sources_limit_is_413_before_it_is_looked_at() -> None:
    porch = Porch(options={"max_bytes": 10})
    assert (await porch.github(x_hub_signature_256="none")).status == 413
    assert porch.untouched


async def test_more_requests_than_the_source_may_send_are_429() -> None:
    porch = Porch(options={"rate_per_minute": 2})
    statuses = [(await porch.github()).status for _ in range(3)]
    assert statuses == [202, 200, 429]


async def test_a_database_that_is_away_is_503_so_that_the_sender_comes_again() -> None:
    porch = Porch(rows=Rows(away=True))
    assert (await porch.github()).status == 503
    assert porch.jobs.started == []


@pytest.mark.parametrize("shift", [-301, 301])
async def test_a_stale_request_is_answered_like_a_forged_one(shift: int) -> None:
    porch = Porch()
    stamp = NOW + shift
    headers = {
        "content-type": "application/json",
        "stripe-signature": f"t={stamp},v1={mac(b'%d.%s' % (stamp, GOOD))}",
    }
    stale = await porch.door.receive("stripe", headers, GOOD)
    headers["stripe-signature"] = f"t={NOW},v1={'0' * 64}"
    forged = await porch.door.receive("stripe", headers, GOOD)
    assert (stale.status, stale.body) == (forged.status, forged.body) == (401, {})
    assert porch.untouched


@pytest.mark.parametrize("body", [b"{}", b'{"id": 7}', b'{"id": ["a"]}', b'{"id": "a b"}'])
async def test_a_signed_stripe_event_without_a_usable_id_is_400(body: bytes) -> None:
    porch = Porch()
    headers = {
        "content-type": "application/json",
        "stripe-signature": f"t={NOW},v1={mac(b'%d.%s' % (NOW, body))}",
    }
    assert (await porch.door.receive("stripe", headers, body)).status == 400


async def slack(porch: Porch, body: dict[str, Any]) -> Receipt:
    raw = json.dumps(body).encode()
    headers = {
        "content-type": "application/json",
        "x-slack-request-timestamp": str(NOW),
        "x-slack-signature": f"v0={mac(b'v0:%d:%s' % (NOW, raw))}",
    }
    return await porch.door.receive("slack", headers, raw)


async def test_slacks_challenge_is_echoed_after_verification_and_starts_nothing() -> None:
    porch = Porch()
    receipt = await slack(porch, {"type": "url_verification", "challenge": "3eZb"})
    assert (receipt.status, receipt.body) == (200, {"challenge": "3eZb"})
    assert porch.untouched


async def test_a_slack_event_without_an_id_is_known_by_its_content() -> None:
    porch = Porch()
    first = await slack(porch, {"type": "block_actions", "n": 1})
    again = await slack(porch, {"type": "block_actions", "n": 1})
    other = await slack(porch, {"type": "block_actions", "n": 2})
    assert [first.status, again.status, other.status] == [202, 200, 202]


async def test_a_refusal_tells_the_log_why_and_the_sender_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    receipt = await Porch().github(x_hub_signature_256="sha256=zz")
    assert receipt.body == {}
    [record] = caplog.records
    assert record.__dict__["refusal"] == "malformed"
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "fields",
    [
        {"scheme": "github", "secrets": []},
        {"scheme": "github", "secrets": [" "]},
        {"scheme": "github", "secrets": ["a"] * 6},
        {"scheme": "standard", "secrets": ["whsec_short"]},
        {"scheme": "generic", "secrets": ["a"]},
        {"scheme": "generic", "secrets": ["a"], "signature_header": "X-Sig"},
        {"scheme": "github", "secrets": ["a"], "tolerance_s": 5},
        {"scheme": "github", "secrets": ["a"], "max_bytes": 10**9},
        {"scheme": "md5", "secrets": ["a"]},
    ],
)
def test_a_source_that_could_not_refuse_a_forgery_does_not_start(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookSource.model_validate(fields)


def test_an_id_that_no_job_can_bear_is_hashed() -> None:
    assert job_key("github", "a-1") == "github:a-1"
    assert job_key("github", "a/1").startswith("github:sha256-")
    assert job_key("github", "a/1") != job_key("github", "a?1")
    assert len(job_key("g", "x" * 255)) < 64


@pytest.mark.parametrize(
    "value", [True, None, "soon", "2026-01-01T00:00:00", 10**30, -(10**30), 1.5]
)
def test_what_is_no_instant_is_none(value: Any) -> None:
    assert read_instant(value) is None
