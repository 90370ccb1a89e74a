"""Operations on schedules, for the command line and the HTTP API.

What a schedule was made from lies in the memo of what it starts, so that ``apply`` can tell what
would change. The server does the firing; no worker of ours has to live for it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from jobs.base import Contract, Queue
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.encryption import EncryptionKeyMissing, key_id_of
from jobs.errors import JobNotFoundError, ScheduleNotFoundError
from jobs.periods import zone
from jobs.schedules.definitions import ScheduleFile
from jobs.schedules.planning import MEMO, WATCH_ID, Plan, Planned, planned, planned_watch
from jobs.schedules.runs import latest_runs, matching_times
from jobs.schedules.watching import ScheduledRun

OURS: Final = "conveyor"
"""Memo that tells our schedules from others of the namespace."""


FIRST_SPAN: Final = timedelta(days=2)
LONGEST_SPAN: Final = timedelta(days=5 * 366)
"""How far ahead firings are looked for: beyond the next 29 February."""


class Change(Contract):
    """What ``apply`` did, or would do, to one schedule."""

    id: str
    action: str
    """``create``, ``update``, ``keep``, or ``unknown`` for one that the file does not name."""
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ScheduleInfo(Contract):
    """One schedule as it is now."""

    id: str
    description: str
    cron: str
    time_zone: str
    starts: str
    paused: bool
    note: str
    next: tuple[datetime, ...]
    runs: tuple[ScheduledRun, ...]
    """The latest, newest first."""
    missed: int
    """Runs that the server dropped since the schedule was made: it was away too long."""
    skipped: int
    """Runs dropped because the one before went on."""

    @property
    def alarms(self) -> Sequence[ScheduledRun]:
        """Runs that went wrong."""
        return [run for run in self.runs if run.alarming]


@dataclass(frozen=True, slots=True)
class ScheduleClient:
    """Schedules on one Temporal namespace."""

    temporal: Client

    async def apply(
        self, file: ScheduleFile, *, dry_run: bool = False, now: datetime | None = None
    ) -> Sequence[Change]:
        """Make the server's schedules those of ``file``; what is equal stays untouched.

        A schedule that was paused stays paused. One that the file doesn't name is told, not
        deleted. The watch over schedules is applied with them.

        Raises:
            InvalidInputError: a schedule's ``kind`` or ``input`` is wrong; nothing was applied.
            ServerUnreachableError: the server does not answer.
        """
        wanted = {definition.id: planned(definition) for definition in file.schedule}
        moment = now or datetime.now(UTC)
        changes = []
        for definition in file.schedule:
            plan = wanted[definition.id]
            change = await self._apply_one(definition.id, plan, dry_run=dry_run)
            warnings = (*definition.warnings(moment), *await self._without_worker(plan.queue))
            changes.append(change.model_copy(update={"warnings": warnings}))
        changes.append(
            await self._apply_one(WATCH_ID, planned_watch(file.alerts_to), dry_run=dry_run)
        )
        known = {name async for name in self._ids()}
        others = sorted(known - set(wanted) - {WATCH_ID})
        return [*changes, *(Change(id=name, action="unknown") for name in others)]

    async def list(self) -> Sequence[ScheduleInfo]:
        """Return every schedule of ours, by id."""
        ids = sorted([name async for name in self._ids()])
        return await asyncio.gather(*(self.show(name) for name in ids))

    async def show(self, schedule_id: str) -> ScheduleInfo:
        """Return one schedule with its latest runs.

        Raises:
            ScheduleNotFoundError: there is none of that id.
        """
        description = await self._describe(schedule_id)
        plan = await self._plan(description)
        state, info = description.schedule.state, description.info
        if plan is None:
            raise ScheduleNotFoundError(schedule_id)
        with _found(schedule_id):
            runs = await latest_runs(self.temporal, description, plan, datetime.now(UTC))
        return ScheduleInfo(
            id=schedule_id,
            description=plan.description,
            cron=plan.cron,
            time_zone=plan.time_zone,
            starts=plan.starts,
            paused=state.paused,
            note=state.note or "",
            next=() if state.paused else tuple(info.next_action_times),
            runs=tuple(runs),
            missed=info.num_actions_missed_catchup_window,
            skipped=info.num_actions_skipped_overlap,
        )

    async def pause(self, schedule_id: str, note: str) -> None:
        """Start nothing until ``resume``; ``note`` says why."""
        handle = self.temporal.get_schedule_handle(schedule_id)
        with _found(schedule_id):
            await handle.pause(note=note, rpc_timeout=RPC_TIMEOUT)

    async def resume(self, schedule_id: str) -> None:
        """Start runs again from now on; what was due during the pause stays undone."""
        note = f"resumed at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        handle = self.temporal.get_schedule_handle(schedule_id)
        with _found(schedule_id):
            await handle.unpause(note=note, rpc_timeout=RPC_TIMEOUT)

    async def trigger(self, schedule_id: str) -> None:
        """Run now, also while paused; now is the nominal time."""
        handle = self.temporal.get_schedule_handle(schedule_id)
        with _found(schedule_id):
            await handle.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL, rpc_timeout=RPC_TIMEOUT)

    async def backfill(
        self, schedule_id: str, start: datetime, end: datetime
    ) -> Sequence[datetime]:
        """Run for every nominal time from ``start`` to ``end``, and return them.

        A local day that has its report already gets no second one.
        """
        times = await self.preview(schedule_id, start, end)
        handle = self.temporal.get_schedule_handle(schedule_id)
        with _found(schedule_id):
            await handle.backfill(
                ScheduleBackfill(
                    start_at=start - timedelta(seconds=1),  # the server leaves the start out
                    end_at=end,
                    overlap=ScheduleOverlapPolicy.ALLOW_ALL,
                ),
                rpc_timeout=RPC_TIMEOUT,
            )
        return times

    async def preview(self, schedule_id: str, start: datetime, end: datetime) -> Sequence[datetime]:
        """Return the nominal times from ``start`` to ``end``, as the server sees them."""
        with _found(schedule_id):
            return await matching_times(self.temporal, schedule_id, start, end)

    async def upcoming(self, schedule_id: str, start: datetime, count: int) -> Sequence[datetime]:
        """Return the first ``count`` nominal times from ``start`` on."""
        span = FIRST_SPAN
        times = await self.preview(schedule_id, start, start + span)
        while len(times) < count and span < LONGEST_SPAN:
            span *= 4
            times = await self.preview(schedule_id, start, start + span)
        return times[:count]

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; what runs goes on."""
        with _found(schedule_id):
            await self.temporal.get_schedule_handle(schedule_id).delete(rpc_timeout=RPC_TIMEOUT)

    async def alarms(self) -> Sequence[ScheduledRun]:
        """Return the runs of the last hours that were missed, are late or failed."""
        return [run for info in await self.list() for run in info.alarms]

    async def _ids(self) -> AsyncIterator[str]:
        with translated_errors():
            async for entry in await self.temporal.list_schedules():
                if OURS in entry.raw_entry.memo.fields:
                    yield entry.id

    async def _describe(self, schedule_id: str) -> ScheduleDescription:
        handle = self.temporal.get_schedule_handle(schedule_id)
        with _found(schedule_id):
            return await handle.describe(rpc_timeout=RPC_TIMEOUT)

    async def _plan(self, description: ScheduleDescription) -> Plan | None:
        """Return what the schedule was made from; None if another program made it."""
        told = _plan_of(description)
        if told is None:
            return None
        (plan,) = await self.temporal.data_converter.decode([told], [Plan])
        return plan if isinstance(plan, Plan) else None

    async def _changes(self, description: ScheduleDescription, after: Plan) -> Sequence[str]:
        """Return how a schedule differs from a plan, also in the key that it is encrypted under.

        What a schedule starts keeps the key it was written under, so that a rotation needs another
        ``apply``; one whose key is gone is written anew.
        """
        before = None
        with suppress(EncryptionKeyMissing):
            before = await self._plan(description)
        (now,) = await self.temporal.data_converter.encode([None])
        told = _plan_of(description)
        keys = [key_id_of(payload) or "none" for payload in (told, now) if payload is not None]
        rekeyed = [f"encryption key: {' -> '.join(keys)}"] if len(set(keys)) > 1 else []
        return [*_differences(before, after), *rekeyed]

    async def _apply_one(self, name: str, wanted: Planned, *, dry_run: bool) -> Change:
        try:
            description = await self._describe(name)
        except ScheduleNotFoundError:
            if not dry_run:
                await self._create(name, wanted.schedule)
            return Change(id=name, action="create")
        differences = await self._changes(description, wanted.plan)
        if not differences:
            return Change(id=name, action="keep")
        if not dry_run:
            await self._update(name, wanted.schedule)
        return Change(id=name, action="update", differences=tuple(differences))

    async def _create(self, name: str, schedule: Schedule) -> None:
        with translated_errors():
            try:
                await self.temporal.create_schedule(
                    name, schedule, memo={OURS: True}, rpc_timeout=RPC_TIMEOUT
                )
            except ScheduleAlreadyRunningError:  # another apply was first
                await self._update(name, schedule)

    async def _update(self, name: str, schedule: Schedule) -> None:
        def changed(current: ScheduleUpdateInput) -> ScheduleUpdate:
            state = current.description.schedule.state
            kept = ScheduleState(note=state.note, paused=state.paused)
            return ScheduleUpdate(schedule=replace(schedule, state=kept))

        with _found(name):
            await self.temporal.get_schedule_handle(name).update(changed, rpc_timeout=RPC_TIMEOUT)

    async def _without_worker(self, queue: Queue) -> Sequence[str]:
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        with translated_errors():
            answer = await self.temporal.workflow_service.describe_task_queue(
                request, timeout=RPC_TIMEOUT
            )
        return [] if answer.pollers else [f"no worker polls the queue '{queue}': runs wait"]


def _plan_of(description: ScheduleDescription) -> Payload | None:
    """Return the payload of what the schedule was made from."""
    action = description.schedule.action
    memo = action.memo if isinstance(action, ScheduleActionStartWorkflow) else None
    found = memo.get(MEMO) if memo else None
    return found if isinstance(found, Payload) else None


def local_words(moment: datetime, time_zone: str) -> str:
    """Return a nominal time on a zone's clocks, with offset: ``Sun 2027-03-28 09:00 +02:00``."""
    local = moment.astimezone(zone(time_zone))
    text = local.isoformat(timespec="minutes")
    return f"{local:%a %Y-%m-%d %H:%M} {text[16:]}"


def _differences(before: Plan | None, after: Plan) -> Sequence[str]:
    """Return how two plans differ, field by field."""
    old = {**before.definition, "cron": before.cron} if before else {}
    new = {**after.definition, "cron": after.cron}
    return [
        f"{field}: {_short(old.get(field))} -> {_short(new.get(field))}"
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field)
    ]


def _short(value: Any) -> str:
    longest = 60
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else text[: longest - 1] + "…"


@contextmanager
def _found(schedule_id: str) -> Iterator[None]:
    """Turn the server's "not found" into ours."""
    try:
        with translated_errors():
            yield
    except JobNotFoundError:
        raise ScheduleNotFoundError(schedule_id) from None
