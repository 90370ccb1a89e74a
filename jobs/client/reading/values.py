"""From the server's messages to values of ours."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from jobs.encryption import EncryptionKeyMissing
from jobs.holds import MEMO_HOLD, Hold
from jobs.status import JobFailure, JobLinks


async def decode(client: Client, payloads: Sequence[Payload]) -> Any:
    """Return the first of ``payloads`` as plain JSON data."""
    values = await client.data_converter.decode(list(payloads)) if payloads else []
    return values[0] if values else None


async def words(client: Client, payloads: Sequence[Payload]) -> str:
    """Return the first of ``payloads`` as words; of one whose key is missing here, that it is."""
    try:
        return str(await decode(client, payloads) or "")
    except EncryptionKeyMissing as error:
        return str(error)


async def memo_value(client: Client, info: WorkflowExecutionInfo, name: str) -> Any:
    """Return one value of a job's memo, or ``None``."""
    fields = info.memo.fields
    return await decode(client, [fields[name]]) if name in fields else None


async def hold_of(client: Client, info: WorkflowExecutionInfo) -> Hold | None:
    """Return the hold that a job says it is under, while it waits or before its next step."""
    told = None
    with suppress(EncryptionKeyMissing):  # that it is held is worth telling
        told = await memo_value(client, info, MEMO_HOLD)
    return Hold.model_validate(told) if told else None


def failure(
    outer: Failure, *, retryable: bool, attempt: int | None, at: datetime | None
) -> JobFailure:
    """Return the innermost cause that says why, without stack traces."""
    inner = outer
    while inner.HasField("cause") and not inner.HasField("application_failure_info"):
        inner = inner.cause
    if inner.HasField("application_failure_info"):
        kind = inner.application_failure_info.type or "Error"
    elif inner.HasField("timeout_failure_info"):
        kind = {1: "StepTimedOut", 4: "WorkerLost"}.get(
            inner.timeout_failure_info.timeout_type, "TimedOut"
        )
    else:
        kind = "Error"
    return JobFailure(type=kind, message=inner.message, retryable=retryable, attempt=attempt, at=at)


def instant(timestamp: Timestamp) -> datetime:
    """Return a server's timestamp as an aware instant."""
    return timestamp.ToDatetime(tzinfo=UTC)


def links(client: Client, job_id: str, ui_url: str | None) -> JobLinks:
    """Return where to read more of a job."""
    page = f"{ui_url}/namespaces/{client.namespace}/workflows/{job_id}" if ui_url else None
    return JobLinks(temporal_ui=page)
