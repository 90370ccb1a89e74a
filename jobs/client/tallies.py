"""How far a job is that does many things side by side: it keeps a tally in its memo."""

from contextlib import suppress
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client

from jobs.encryption import EncryptionKeyMissing
from jobs.status import MEMO_TALLY, JobProgress, Progress, Tally

MOST_WHILE_OPEN: Final = 99.9
"""Percent of a job that has everything done but its end."""


async def tallied(
    client: Client, description: DescribeWorkflowExecutionResponse
) -> JobProgress | None:
    """Return the progress of such a job, with what its running steps report; None of others."""
    fields = description.workflow_execution_info.memo.fields
    if MEMO_TALLY not in fields:
        return None
    tally, at = None, 0.0
    with suppress(EncryptionKeyMissing):
        (tally,) = await client.data_converter.decode([fields[MEMO_TALLY]], [Tally])
    if tally is None:
        return None
    done, at = tally.done, tally.at.timestamp()
    for pending in description.pending_activities:
        if not pending.heartbeat_details.payloads:
            continue
        with suppress(EncryptionKeyMissing):
            first = list(pending.heartbeat_details.payloads[:1])
            (reported,) = await client.data_converter.decode(first, [Progress])
            if reported.unit == tally.unit:
                done += reported.done
                at = max(at, pending.last_heartbeat_time.ToNanoseconds() / 1e9)
    done = min(done, tally.total)
    took = at - tally.began_at.timestamp()
    rate = (done - tally.began_done) / took if took > 0 and done > tally.began_done else None
    percent = round(done / tally.total * 100, 1) if tally.total else 0.0
    return JobProgress(
        step=tally.unit,
        done=done,
        total=tally.total,
        unit=tally.unit,
        message=tally.message,
        percent=min(percent, MOST_WHILE_OPEN),
        rate=round(rate, 2) if rate else None,
        eta_seconds=round((tally.total - done) / rate, 1) if rate else None,
    )
