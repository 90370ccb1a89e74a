"""The event's contract."""

from typing import Any

import pytest

from jobs.errors import InvalidInputError
from jobs.events import EVENT, MAX_PAYLOAD_BYTES, PublishEvent
from jobs.validation import validate

GOOD = {"event_type": "invoice.paid", "payload": {"n": 1}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_type": "invoice..paid"}, "event_type"),
        ({"event_type": ".paid"}, "event_type"),
        ({"event_type": "invoice paid"}, "event_type"),
        ({"event_type": "a" * 129}, "event_type"),
        ({"payload": {"text": "x" * MAX_PAYLOAD_BYTES}}, ""),
        ({"payload": None}, ""),
        ({"payload_ref": "a/b.json"}, ""),
        ({"payload": [1]}, "payload"),
        ({"occurred_at": "2026-11-24T08:00:00"}, "occurred_at"),
        ({"endpoint_ids": []}, "endpoint_ids"),
        ({"endpoint_ids": ["a@example.com"]}, "endpoint_ids.0"),
    ],
)
def test_each_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        validate(PublishEvent, {**GOOD, **changes})
    assert [problem.field for problem in refused.value.problems] == [field]


def test_the_example_is_valid() -> None:
    validate(PublishEvent, EVENT.example)
