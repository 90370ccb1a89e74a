"""Signing and verifying: official vectors, the public packages as the other side, and forgeries."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

import pytest
import standardwebhooks
import stripe
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from jobs.signatures import standard
from jobs.signatures.schemes import (
    Encoding,
    Headers,
    MalformedRequest,
    SignatureRefused,
    verify_generic,
    verify_github,
    verify_slack,
    verify_standard,
    verify_stripe,
)
from jobs.signatures.standard import SignatureAlgorithm

NOW = 1_614_265_330
BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 (published)
"""With its id, time and body the vector of the standard's own libraries."""
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

GITHUB_SECRET = "It's a Secret to Everybody"  # noqa: S105 (published)
GITHUB_VECTOR = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105 (published)
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_VECTOR = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
SLACK_TIME = 1_531_420_618


def standard_request(**changes: str) -> Headers:
    values = {
        "Webhook-Id": VECTOR_ID,
        "Webhook-Timestamp": str(NOW),
        "Webhook-Signature": VECTOR,
        **changes,
    }
    return Headers(values)


def accept_standard(
    headers: Headers, body: bytes = BODY, keys: tuple[str, ...] = (SECRET,)
) -> None:
    verify_standard(headers, body, keys, now=NOW, tolerance_s=300)


def test_the_official_vector_of_the_standard_passes_both_ways() -> None:
    assert standard.sign(SECRET, VECTOR_ID, NOW, BODY) == VECTOR
    accept_standard(standard_request())


def test_the_official_vector_of_github_passes() -> None:
    verify_github(
        Headers({"X-Hub-Signature-256": GITHUB_VECTOR}), b"Hello, World!", [GITHUB_SECRET]
    )


def test_the_official_vector_of_slack_passes() -> None:
    headers = Headers(
        {"X-Slack-Signature": SLACK_VECTOR, "X-Slack-Request-Timestamp": str(SLACK_TIME)}
    )
    verify_slack(headers, SLACK_BODY, [SLACK_SECRET], now=SLACK_TIME, tolerance_s=300)


def test_a_header_made_by_the_package_of_stripe_passes() -> None:
    secret = "whsec_test"  # noqa: S105 (published)
    digest = stripe.WebhookSignature._compute_signature(f"{NOW}.{BODY.decode()}", secret)
    headers = Headers({"Stripe-Signature": f"t={NOW},v1={'0' * 64},v1={digest},v0=old"})
    verify_stripe(headers, BODY, [secret], now=NOW, tolerance_s=300)
    with pytest.raises(SignatureRefused):
        verify_stripe(headers, BODY + b" ", [secret], now=NOW, tolerance_s=300)


def test_the_generic_scheme_reads_hex_and_base64() -> None:
    digest = hmac.new(b"key", BODY, hashlib.sha256)
    hexadecimal = Headers({"X-Sig": digest.hexdigest().upper()})
    verify_generic(hexadecimal, BODY, ["key"], header="x-sig", prefix="", encoding=Encoding.HEX)
    encoded = Headers({"X-Sig": "hmac " + base64.b64encode(digest.digest()).decode()})
    verify_generic(
        encoded, BODY, ["old", "key"], header="x-sig", prefix="hmac ", encoding=Encoding.BASE64
    )


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_the_public_packages_accept_our_requests(
    package: type[standardwebhooks.Webhook] | type[svix.webhooks.Webhook],
) -> None:
    new, old = standard.new_key(SignatureAlgorithm.HMAC), SECRET
    headers = standard.headers("event-0190", int(time.time()), BODY, [new, old])
    for key in (new, old):
        package(key).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        package(standard.new_key(SignatureAlgorithm.HMAC)).verify(BODY, headers)


def test_an_ed25519_signature_is_verified_with_the_public_key_alone() -> None:
    private = standard.new_key(SignatureAlgorithm.ED25519)
    public = standard.verification_key(private)
    signature = standard.sign(private, VECTOR_ID, NOW, BODY)
    headers = standard_request(**{"Webhook-Signature": signature})
    accept_standard(headers, keys=(SECRET, public))
    with pytest.raises(SignatureRefused):
        accept_standard(headers, body=BODY + b"x", keys=(public,))


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,!!! {VECTOR}",
        f"{VECTOR}  v1,a,b",
        f"v2,xyz {VECTOR}",
        f"garbage {VECTOR}",
        " ".join(["v1,AAAA"] * 15 + [VECTOR]),
    ],
)
def test_a_good_signature_counts_among_bad_ones(signature: str) -> None:
    accept_standard(standard_request(**{"Webhook-Signature": signature}))


@pytest.mark.parametrize(
    "changes",
    [
        {"Webhook-Signature": "garbage"},
        {"Webhook-Signature": "v1,a,b"},
        {"Webhook-Signature": ""},
        {"Webhook-Id": "msg_other"},
        {"Webhook-Timestamp": str(NOW - 301)},
        {"Webhook-Timestamp": str(NOW + 301)},
        {"Webhook-Timestamp": str(NOW + 1)},
    ],
)
def test_a_forged_or_stale_request_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused):
        accept_standard(standard_request(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"Webhook-Timestamp": "1614265330.9"},
        {"Webhook-Timestamp": "16142_65330"},
        {"Webhook-Timestamp": "-5"},
        {"Webhook-Timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"Webhook-Timestamp": "9" * 12},
        {"Webhook-Signature": " ".join([VECTOR] * 17)},
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "v1," + "A" * 9000},
        {"Webhook-Id": "two words"},
        {"Webhook-Id": "a" * 256},
    ],
)
def test_a_malformed_request_is_told_apart_from_a_forged_one(changes: dict[str, str]) -> None:
    with pytest.raises(MalformedRequest):
        accept_standard(standard_request(**changes))


def test_a_repeated_header_is_malformed() -> None:
    headers = Headers(
        [("x-hub-signature-256", GITHUB_VECTOR), ("X-Hub-Signature-256", GITHUB_VECTOR)]
    )
    with pytest.raises(MalformedRequest):
        verify_github(headers, b"Hello, World!", [GITHUB_SECRET])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("sha256=é", MalformedRequest),
        ("sha256=12", MalformedRequest),
        ("sha1=" + "0" * 40, MalformedRequest),
        ("sha256=" + "0" * 64, SignatureRefused),
    ],
)
def test_a_github_header_of_another_shape_is_malformed(value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify_github(Headers({"x-hub-signature-256": value}), BODY, [GITHUB_SECRET])


@pytest.mark.parametrize(
    "key",
    [
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not*base64",
        base64.b64encode(bytes(32)).decode(),
    ],
)
def test_a_weak_or_miswritten_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="a key is whsec_"):
        standard.decode_key(key, standard.SECRET_PREFIX)


@given(value=st.text(max_size=200))
def test_no_header_value_raises_anything_but_the_two_refusals(value: str) -> None:
    checks: list[Callable[[], None]] = [
        lambda: accept_standard(standard_request(**{"Webhook-Signature": value})),
        lambda: accept_standard(standard_request(**{"Webhook-Timestamp": value})),
        lambda: verify_github(Headers({"x-hub-signature-256": value}), BODY, ["s"]),
        lambda: verify_stripe(
            Headers({"stripe-signature": value}), BODY, ["s"], now=NOW, tolerance_s=300
        ),
    ]
    for check in checks:
        with pytest.raises((MalformedRequest, SignatureRefused)):
            check()
