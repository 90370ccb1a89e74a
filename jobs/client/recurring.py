"""System workflows that run again and again, each by a schedule of its own on the server."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from jobs.client.connection import RPC_TIMEOUT, translated_errors


async def ensure_recurring(
    temporal: Client, schedule_id: str, action: ScheduleActionStartWorkflow, *, every: timedelta
) -> bool:
    """Have ``action`` begin at that interval, never twice at once; return whether it is new.

    A schedule that is there stays as it is. A run that the server missed is made up for within an
    interval.
    """
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        with translated_errors():
            await temporal.create_schedule(schedule_id, schedule, rpc_timeout=RPC_TIMEOUT)
    except ScheduleAlreadyRunningError:
        return False
    return True
