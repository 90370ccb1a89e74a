"""Endpoints: which URLs, patterns and headers are accepted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.endpoints import Endpoint, NewEndpoint, check_url, subscribes
from jobs.errors import InvalidInputError


def endpoint(**options: Any) -> Endpoint:
    return Endpoint(
        id="ep_1",
        owner="acme",
        url="https://hooks.example.com/",
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
        **options,
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://user:pass@hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:99999/",
        "https://localhost/",
        "https:///path",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/\r\nHost: x",
        "https://hööks.example.com/",
        "https://[::1/",
        "https://hooks.example.com/" + "a" * 2048,
        "hooks.example.com",
        "",
    ],
)
def test_a_url_that_no_delivery_may_go_to_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        check_url(url)


def test_settings_open_http_and_high_ports() -> None:
    check_url("https://hooks.example.com/path?token=x")
    check_url("https://hooks.example.com:443/")
    check_url("http://hooks.example.com/", allow_http=True)
    check_url("http://127.0.0.1:9000/", allow_http=True, allow_ports=True)
    with pytest.raises(InvalidInputError):
        check_url("http://127.0.0.1:22/", allow_http=True, allow_ports=True)


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        ("*", "invoice.paid", True),
        ("invoice.paid", "invoice.paid", True),
        ("invoice.*", "invoice.paid", True),
        ("invoice.*", "invoice.paid.late", True),
        ("invoice.*", "invoice", False),
        ("invoice.*", "invoices.paid", False),
        ("invoice", "invoice.paid", False),
    ],
)
def test_patterns_are_exact_a_prefix_or_everything(
    pattern: str, event_type: str, matches: bool
) -> None:
    assert subscribes([pattern], event_type) is matches


@pytest.mark.parametrize(
    "fields",
    [
        {"event_types": []},
        {"event_types": ["*.paid"]},
        {"event_types": ["invoice..paid"]},
        {"event_types": ["invoice*"]},
        {"schedule": []},
        {"schedule": ["PT25H"]},
        {"schedule": ["PT1S"] * 21},
        {"timeout_s": 31},
        {"max_concurrency": 0},
        {"rate_per_s": 0},
        {"headers": {"Host": "x"}},
        {"headers": {"Content-Type": "x"}},
        {"headers": {"Webhook-Id": "x"}},
        {"headers": {"X-A": "a\r\nb"}},
        {"headers": {"X A": "a"}},
        {"headers": {f"X-{n}": "a" for n in range(21)}},
    ],
)
def test_an_option_out_of_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewEndpoint.model_validate({"url": "https://hooks.example.com/", **fields})
