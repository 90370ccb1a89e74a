"""Turns definitions into what the server keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from jobs import kinds, validation
from jobs.attributes import JOB_KIND
from jobs.base import Contract, Queue
from jobs.errors import InvalidInputError, Problem
from jobs.reports import DailyReports
from jobs.schedules.definitions import Overlap, ScheduleDefinition
from jobs.schedules.watching import WatchSchedules

MEMO: Final = "schedule"
REPORTS_WORKFLOW: Final = "DailyReports"
WATCH_WORKFLOW: Final = "WatchSchedules"
WATCH_ID: Final = "schedule-watch"
DEADLINE: Final = timedelta(hours=25)
"""Of a run of reports, whose own deadline is 24 hours."""

OVERLAPS: Final = {
    Overlap.SKIP: ScheduleOverlapPolicy.SKIP,
    Overlap.BUFFER_ONE: ScheduleOverlapPolicy.BUFFER_ONE,
    Overlap.ALLOW_ALL: ScheduleOverlapPolicy.ALLOW_ALL,
}


class Plan(Contract):
    """What of a schedule the server does not tell in our words; kept in its action's memo."""

    description: str = ""
    cron: str
    time_zone: str
    starts: str
    """``reports``, or a kind."""
    catch_up: timedelta
    late_after: timedelta
    definition: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A schedule, ready for the server."""

    plan: Plan
    queue: Queue
    schedule: Schedule


def planned(definition: ScheduleDefinition) -> Planned:
    """Return the server's schedule for ``definition``.

    Raises:
        InvalidInputError: its ``kind`` or ``input`` is wrong.
    """
    plan = Plan(
        description=definition.description,
        cron=definition.expression,
        time_zone=definition.time_zone,
        starts=definition.kind or "reports",
        catch_up=definition.catch_up,
        late_after=definition.late_after,
        definition=definition.model_dump(mode="json", exclude_defaults=True),
    )
    memo = {MEMO: plan.model_dump(mode="json")}
    if definition.kind is None:
        queue = Queue.REPORTS
        action = ScheduleActionStartWorkflow(
            REPORTS_WORKFLOW,
            DailyReports(reports=definition.reports, time_zone=definition.time_zone),
            id=definition.id,
            task_queue=queue,
            execution_timeout=DEADLINE,
            memo=memo,
            static_summary=definition.description or f"reports of schedule {definition.id}",
        )
    else:
        queue, action = _job(definition, definition.kind, memo)
    return Planned(
        plan=plan,
        queue=queue,
        schedule=Schedule(
            action=action,
            spec=ScheduleSpec(cron_expressions=[plan.cron], time_zone_name=plan.time_zone),
            policy=SchedulePolicy(
                overlap=OVERLAPS[definition.overlap], catchup_window=definition.catch_up
            ),
        ),
    )


def _job(
    definition: ScheduleDefinition, name: str, memo: Mapping[str, Any]
) -> tuple[Queue, ScheduleActionStartWorkflow]:
    """Return the start of a job of any kind; its id is ``<kind>-<schedule>-<nominal time>``."""
    kind = kinds.find(name)
    try:
        job = validation.validate(kind.input, definition.input)
    except InvalidInputError as error:
        raise InvalidInputError(
            [Problem(f"{definition.id}.input.{p.field}", p.message) for p in error.problems]
        ) from None
    action = ScheduleActionStartWorkflow(
        kind.workflow,
        job,
        id=f"{kind.name}-{definition.id}",
        task_queue=kind.queue,
        execution_timeout=kind.deadline,
        memo={**memo, "fingerprint": validation.fingerprint(job)},
        typed_search_attributes=TypedSearchAttributes([SearchAttributePair(JOB_KIND, kind.name)]),
        static_summary=kind.summarize(job),
    )
    return kind.queue, action


def planned_watch(alerts_to: Sequence[str]) -> Planned:
    """Return the schedule of the watch over all others."""
    plan = Plan(
        description="looks for runs that were missed, are late or failed",
        cron="*/10 * * * *",
        time_zone="UTC",
        starts="watch",
        catch_up=timedelta(minutes=10),
        late_after=timedelta(minutes=10),
        definition={"alerts_to": list(alerts_to)},
    )
    return Planned(
        plan=plan,
        queue=Queue.REPORTS,
        schedule=Schedule(
            action=ScheduleActionStartWorkflow(
                WATCH_WORKFLOW,
                WatchSchedules(alerts_to=tuple(alerts_to)),
                id=WATCH_ID,
                task_queue=Queue.REPORTS,
                execution_timeout=timedelta(minutes=9),
                memo={MEMO: plan.model_dump(mode="json")},
                static_summary=plan.description,
            ),
            spec=ScheduleSpec(cron_expressions=[plan.cron]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=plan.catch_up),
        ),
    )
