"""What became of the runs that a schedule was to start, read from the server alone."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleDescription,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode

from jobs.client.connection import RPC_TIMEOUT
from jobs.schedules.planning import Plan
from jobs.schedules.watching import RunState, ScheduledRun

RECENT: Final = 10
"""Runs of a schedule that the server remembers."""
WATCHED: Final = timedelta(hours=20)
"""How far back the watch looks; shorter than the retention of what it starts."""
GRACE: Final = timedelta(minutes=2)
RESUMED: Final = re.compile(r"resumed at (\S+)")

GOING_ON: Final = {
    WorkflowExecutionStatus.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW,
}
FINE: Final = {WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CANCELED}


async def matching_times(
    client: Client, schedule_id: str, start: datetime, end: datetime
) -> Sequence[datetime]:
    """Return the nominal times from ``start`` to ``end``, as the server sees them."""
    first, last = Timestamp(), Timestamp()
    first.FromDatetime(start - timedelta(seconds=1))  # the server leaves the start itself out
    last.FromDatetime(end)
    request = ListScheduleMatchingTimesRequest(
        namespace=client.namespace, schedule_id=schedule_id, start_time=first, end_time=last
    )
    answer = await client.workflow_service.list_schedule_matching_times(
        request, timeout=RPC_TIMEOUT
    )
    return [moment.ToDatetime(UTC) for moment in answer.start_time]


async def latest_runs(
    client: Client, description: ScheduleDescription, plan: Plan, now: datetime
) -> Sequence[ScheduledRun]:
    """Return the latest runs, newest first: those that were due, and those started by hand."""
    due = set(await _due(client, description, now))
    begun = {
        result.scheduled_at.replace(microsecond=0): result
        for result in description.info.recent_actions
    }
    runs = []
    for nominal in sorted(due | begun.keys(), reverse=True)[:RECENT]:
        result = begun.get(nominal)
        if result is None or not isinstance(result.action, ScheduleActionExecutionStartWorkflow):
            if now - nominal >= plan.catch_up + GRACE:  # before, the server may still catch up
                runs.append(
                    ScheduledRun(schedule=description.id, nominal=nominal, state=RunState.MISSED)
                )
            continue
        promised = nominal if nominal in due else result.started_at
        job_id, run_id = result.action.workflow_id, result.action.first_execution_run_id
        runs.append(
            ScheduledRun(
                schedule=description.id,
                nominal=nominal,
                state=await _state(client, job_id, run_id, late=now - promised > plan.late_after),
                job_id=job_id,
                watched=now - result.started_at < WATCHED,
            )
        )
    return runs


async def _due(
    client: Client, description: ScheduleDescription, now: datetime
) -> Sequence[datetime]:
    """Return the nominal times that count, newest first: of the schedule as it is now."""
    state = description.schedule.state
    if state.paused:
        return []
    info = description.info
    since = max(now - WATCHED, info.created_at, info.last_updated_at or info.created_at)
    if resumed := RESUMED.search(state.note or ""):
        since = max(since, datetime.fromisoformat(resumed[1]))
    times = await matching_times(client, description.id, since, now)
    return [moment for moment in reversed(times) if moment > since][:RECENT]


async def _state(client: Client, job_id: str, run_id: str, *, late: bool) -> RunState:
    handle = client.get_workflow_handle(job_id, first_execution_run_id=run_id)
    try:
        status = (await handle.describe(rpc_timeout=RPC_TIMEOUT)).status
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return RunState.GONE
    if status in FINE:
        return RunState.DONE
    if status in GOING_ON:
        return RunState.LATE if late else RunState.RUNNING
    return RunState.FAILED
