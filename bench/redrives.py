"""Redriving many failed jobs of two steps: how fast, and that no finished step is repeated.

Compared with starting as many workflows by the SDK's plain ``start_workflow``, as many at once.
Meanwhile no worker takes them up, so that only the submitting is measured; afterwards one ends the
jobs, and counts. The redrive itself runs with the options of ``worker.py``, without the SDK's
sandbox; the jobs run in it, as workflows do by default.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.redrives import AT_ONCE, RedriveActivities
from adapters.storage import Storage
from bench.bare.steps import Ping
from bench.bare.two_step_workflow import TwoStepWorkflow
from bench.bare.two_steps import TwoSteps
from bench.harness import Plan, Row, gather_at_most, lab, medians
from bench.workers import our_worker
from jobs.attributes import JOB_KIND, JOB_TAGS
from jobs.base import Queue
from jobs.client import JobClient, JobFilter, connect
from jobs.client.redriver import Redriver
from jobs.reports import REPORT
from workflows.redrives import RedriveWorkflow

NAME = "redrives"
TITLE = "Redriving failed jobs against plain starts"

JOBS: Final = 1000
QUICK_JOBS: Final = 100
WARM_UP: Final = 50
QUEUE: Final = "two-steps"
LOOK_S: Final = 0.05
TIMEOUT: Final = timedelta(hours=1)


async def run(plan: Plan) -> Sequence[Row]:
    """Measure in so many rounds."""
    jobs = plan.of(JOBS, QUICK_JOBS)
    async with lab() as place:
        client = await connect(address=place.server.address)
        async with redrives(client):
            await one_round(client, WARM_UP)
            raw = [await one_round(client, jobs) for _ in range(plan.rounds)]
    figures = medians(raw)
    plain, ours = figures["plain"], figures["redriven"]
    return [
        Row(
            name=f"redrive of {jobs:,} jobs, against start_workflow",
            value=figures["ratio"],
            limit=0.5,
            at_least=True,
            detail=f"{ours:.0f} jobs/s, start_workflow {plain:.0f}/s",
            raw={"rounds": raw},
        ),
        Row(
            name="redriven a second",
            value=ours,
            limit=200,
            at_least=True,
            unit="/s",
        ),
        Row(
            name="first steps repeated", value=max(r["repeated"] for r in raw), limit=0, unit="runs"
        ),
    ]


def redrives(client: Client) -> AbstractAsyncContextManager[Any]:
    """Return a worker of redrives, as ``worker.py`` would run it."""
    steps = RedriveActivities(Redriver(client), Storage.open("memory:"))
    return our_worker(client, Queue.BATCHES, workflows=[RedriveWorkflow], activities=steps.all())


async def one_round(client: Client, count: int) -> dict[str, float]:
    """Let jobs fail, redrive them, and let them end; return the rates and what was repeated."""
    name, steps = f"bench-{uuid4().hex[:12]}", TwoSteps()
    plain = await rate_of_starts(client, name, count)
    failed = JobFilter(kind=REPORT.name, tag=("round", name))
    async with two_steps(client, steps):
        await until_ended(client, name, "Failed", count)
    steps.mended = True
    ours = await rate_of_redrive(JobClient(client), failed, count)
    async with two_steps(client, steps):
        await until_ended(client, name, "Completed", count)
    return {
        "plain": plain,
        "redriven": ours,
        "ratio": ours / plain,
        "repeated": float(steps.first - count),
    }


def two_steps(client: Client, steps: TwoSteps) -> AbstractAsyncContextManager[Any]:
    """Return a worker of the jobs."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[TwoStepWorkflow],
        activities=[steps.run_first, steps.run_second],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("bench.bare")
        ),
    )


async def rate_of_starts(client: Client, name: str, count: int) -> float:
    """Start jobs that no worker takes yet; return how many a second."""
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(JOB_KIND, REPORT.name),
            SearchAttributePair(JOB_TAGS, [f"round={name}"]),
        ]
    )

    async def start() -> None:
        await client.start_workflow(
            TwoStepWorkflow.run,
            Ping(text="Ada"),
            id=f"{name}-{uuid4()}",
            task_queue=QUEUE,
            execution_timeout=TIMEOUT,
            search_attributes=attributes,
        )

    began = time.perf_counter()
    await gather_at_most(count, AT_ONCE, start)
    return count / (time.perf_counter() - began)


async def rate_of_redrive(jobs: JobClient, failed: JobFilter, count: int) -> float:
    """Redrive; return how many jobs a second went on, from the order to its end."""
    began = time.perf_counter()
    redrive = await jobs.redrive(failed)
    while not redrive.state.final:
        await asyncio.sleep(LOOK_S)
        redrive = await jobs.redrive_status(redrive.id)
    took = time.perf_counter() - began
    if redrive.counts.redriven != count:
        msg = f"not all went on: {redrive}"
        raise RuntimeError(msg)
    return count / took


async def until_ended(client: Client, name: str, status: str, count: int) -> None:
    """Wait until so many jobs of a round have ended so."""
    query = f"JobTags = 'round={name}' AND ExecutionStatus = '{status}'"
    while (await client.count_workflows(query)).count < count:  # noqa: ASYNC110 - told by no event
        await asyncio.sleep(LOOK_S)
