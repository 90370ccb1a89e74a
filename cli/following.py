"""Following a job to its end: a bar on a terminal, a line for each change elsewhere."""

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import exits
from cli import output
from jobs import wording

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from jobs.client import JobClient
    from jobs.status import JobStatus


async def follow_to_end(
    jobs: "JobClient",
    job: "JobStatus",
    *,
    watch: bool,
    within: timedelta | None,
    as_json: bool,
) -> int:
    """Wait for ``job``, print what came of it, and return the exit code that says so."""
    try:
        final = await (_watch(jobs, job.id, within) if watch else jobs.wait(job.id, within=within))
    except asyncio.CancelledError:
        output.say(f"interrupted; {job.id} goes on: starter.py status {job.id}")
        raise
    if as_json:
        final = final.model_copy(update={"created": job.created, "input": job.input})
    return report(final, as_json=as_json)


def report(job: "JobStatus", *, as_json: bool) -> int:
    """Print a final job's result or error, and return its exit code."""
    if as_json:
        output.print_json(job)
    elif job.result is not None:
        output.print_json(job.result)
    if job.error is not None and not as_json:
        output.say(f"{job.id} {job.state}: {job.error.type}: {job.error.message}")
    return {"completed": exits.OK, "failed": exits.FAILED, "timed_out": exits.FAILED}.get(
        job.state, exits.CANCELLED
    )


async def _watch(jobs: "JobClient", job_id: str, within: timedelta | None) -> "JobStatus":
    from jobs.errors import WaitTimedOutError

    try:
        async with asyncio.timeout(within.total_seconds() if within else None):
            return await (show_bar if sys.stderr.isatty() else show_lines)(jobs, job_id)
    except TimeoutError:
        spent = wording.duration(within.total_seconds()) if within else "that time"
        msg = f"job {job_id!r} is not done after {spent}; it goes on"
        raise WaitTimedOutError(msg) from None


async def show_lines(jobs: "JobClient", job_id: str) -> "JobStatus":
    """Say each change of a job on a line of its own; return its final state."""
    seen = ""
    while True:
        async for job in jobs.watch(job_id):
            if (line := describe(job)) != seen:
                output.say(line)
                seen = line
            if job.state.final:
                return job


def describe(job: "JobStatus", *, with_percent: bool = True) -> str:
    """Return a job's state and progress on one line."""
    progress = job.progress
    parts = [str(job.state)]
    if with_percent and progress.percent is not None and not job.state.final:
        parts.append(f"{progress.percent:.0f} %")
    if progress.step:
        parts.append(progress.step)
    if progress.total:
        parts.append(f"{progress.done:,} of {progress.total:,} {progress.unit}".rstrip())
    if progress.message:
        parts.append(progress.message)
    if job.error is not None and not job.state.final:
        parts.append(f"attempt {job.error.attempt} failed: {job.error.type}: {job.error.message}")
        if job.next_attempt_at is not None:
            parts.append(f"next attempt {wording.ago(job.next_attempt_at)}")
    if job.held_because:
        parts.append(f"held because {job.held_because}")
    return "  ".join(parts)


async def show_bar(jobs: "JobClient", job_id: str) -> "JobStatus":
    """Draw a job's progress as a bar; return its final state."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[step]}"),
    )
    with Progress(*columns, console=output.console(words=True)) as bar:
        task = bar.add_task("", total=100, step="")
        while True:
            async for job in jobs.watch(job_id):
                _draw(bar, task, job)
                if job.state.final:
                    return job


def _draw(bar: "Bar", task: "TaskID", job: "JobStatus") -> None:
    bar.update(task, completed=job.progress.percent, step=describe(job, with_percent=False))
