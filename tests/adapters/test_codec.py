"""Encrypted payloads: what is bound to what, and what is refused."""

import base64
from dataclasses import replace

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from adapters.codec import EncryptionCodec
from jobs.base import Contract
from jobs.converter import data_converter
from jobs.encryption import (
    EncryptionKey,
    EncryptionKeyMissing,
    PayloadAltered,
    key_id_of,
    parse_keys,
)

OLD, NEW = EncryptionKey("2026", bytes(range(32))), EncryptionKey("2027", bytes(32))
GOOD = base64.b64encode(bytes(32)).decode()


class Named(Contract):
    name: str


def converter(*keys: EncryptionKey, job: str | None = None) -> DataConverter:
    made = data_converter(EncryptionCodec(keys))
    context = WorkflowSerializationContext(namespace="default", workflow_id=job or "")
    return made.with_context(context) if job else made


async def test_what_was_encrypted_is_read_by_who_has_the_key_and_nothing_of_it_shows() -> None:
    (payload,) = await converter(OLD, job="email-1").encode(["a secret"])
    assert b"secret" not in payload.SerializeToString()
    assert key_id_of(payload) == "2026"
    assert await converter(NEW, OLD, job="email-1").decode([payload]) == ["a secret"]
    assert await converter(NEW, OLD).decode([payload]) == ["a secret"]


async def test_the_same_value_never_looks_the_same_twice() -> None:
    first, second = await converter(OLD).encode(["a", "a"])
    assert first.data != second.data


async def test_a_large_payload_grows_by_a_few_bytes() -> None:
    (payload,) = await converter(OLD, job="email-1").encode(["x" * 1_900_000])
    assert len(payload.SerializeToString()) < 1_900_000 + 300
    assert await converter(OLD).decode([payload]) == ["x" * 1_900_000]


async def test_plain_payloads_are_read_as_they_are() -> None:
    (payload,) = await data_converter(None).encode([{"a": 1}])
    assert await converter(OLD, job="email-1").decode([payload]) == [{"a": 1}]


async def test_a_missing_key_is_named() -> None:
    (payload,) = await converter(OLD).encode(["x"])
    with pytest.raises(EncryptionKeyMissing, match="'2026'"):
        await converter(NEW).decode([payload])
    with pytest.raises(EncryptionKeyMissing, match="'2026'"):
        await data_converter(None).decode([payload])


@pytest.mark.parametrize("altered", ["data", "encryption-key-id", "job", "no job", "cut"])
async def test_an_altered_payload_is_refused(altered: str) -> None:
    (payload,) = await converter(OLD, job="email-1").encode(["x"])
    match altered:
        case "data":
            payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
        case "cut":
            payload.data = payload.data[:9]
        case "no job":
            del payload.metadata["job"]
        case name:
            payload.metadata[name] = b"other"
    other = replace(OLD, id="other")
    with pytest.raises(PayloadAltered):
        await converter(OLD, other).decode([payload])


async def test_a_payload_of_another_job_is_refused() -> None:
    (payload,) = await converter(OLD, job="email-1").encode(["x"])
    with pytest.raises(PayloadAltered, match="'email-1' was found in job 'email-2'"):
        await converter(OLD, job="email-2").decode([payload])
    with pytest.raises(PayloadAltered):
        await converter(OLD, job="email-1-2").decode([payload])


async def test_what_a_schedule_writes_is_read_by_the_jobs_that_it_starts() -> None:
    (payload,) = await converter(OLD, job="report-daily").encode(["x"])
    started = "report-daily-2027-01-31T09:00:00Z"
    assert await converter(OLD, job=started).decode([payload]) == ["x"]


async def test_a_step_reads_what_its_job_wrote() -> None:
    (payload,) = await converter(OLD, job="email-1").encode(["x"])
    context = ActivitySerializationContext(
        namespace="default",
        activity_id="1of1",
        activity_type="emails.send",
        activity_task_queue="emails",
        workflow_id="email-1",
        workflow_type="SendEmail",
        is_local=False,
    )
    assert await converter(OLD).with_context(context).decode([payload]) == ["x"]


async def test_the_words_of_a_failure_are_encrypted() -> None:
    failure = Failure()
    await converter(OLD).encode_failure(RuntimeError("a secret"), failure)
    assert b"secret" not in failure.SerializeToString()
    assert "a secret" in str(await converter(OLD).decode_failure(failure))


def test_a_key_that_no_one_wrote_is_no_key() -> None:
    assert key_id_of(Payload(metadata={"encoding": b"json/plain"})) is None


def test_keys_are_read_with_commas_or_lines_between() -> None:
    written = f"a:{GOOD},b:{GOOD}\nc:{GOOD}\n"
    assert [key.id for key in parse_keys(written)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "key 1 is not of the form id:base64"),
        (GOOD, "key 1 is not of the form id:base64"),
        (f"a:{GOOD},b", "key 2 is not of the form id:base64"),
        ("a:c2hvcnQ=", "key 1 has 5 bytes instead of 32"),
        ("a:c2VjcmV0c2VjcmV0c2VjcmV0!", "key 1 is not base64"),
        (f"a b:{GOOD}", "key 1 is not of the form"),
        (f"a/b:{GOOD}", "the id of key 1 has other characters"),
        (f"a:{GOOD},b:{GOOD},a:{GOOD}", "keys 1 and 3 have the same id"),
    ],
)
def test_wrong_keys_are_refused_by_place_and_never_shown(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        parse_keys(written)
    for secret in (GOOD, "c2hvcnQ", "c2VjcmV0"):
        assert secret not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(OLD)


async def test_an_argument_that_does_not_fit_is_told_by_its_cause_and_is_not_tried_again() -> None:
    wrapped = ApplicationError("Failed decoding arguments")
    (payload,) = await data_converter(None).encode([{"name": 1}])
    with pytest.raises(ApplicationError) as caught:
        await data_converter(None).decode([payload], [Named])
    wrapped.__cause__ = caught.value
    failure = Failure()
    await data_converter(None).encode_failure(wrapped, failure)
    assert failure.message != "Failed decoding arguments"
    assert failure.application_failure_info.non_retryable
