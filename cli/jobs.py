"""Looking at one job: ``status``, ``logs``, ``result``, ``open``; and when it begins."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import exits
from cli import output
from cli.session import Session, run
from jobs import wording

if TYPE_CHECKING:
    from jobs.status import JobStatus

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job, as `submit` printed it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def status(
    job_id: JobId,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a job is; works while no worker lives."""

    async def command(session: Session) -> int:
        from cli.following import follow_to_end

        job = await session.jobs.status(job_id, with_input=True)
        if watch:
            return await follow_to_end(session.jobs, job, watch=True, within=None, as_json=as_json)
        if as_json:
            output.print_json(job)
        else:
            output.print_facts(_facts(job))
        return exits.OK

    raise typer.Exit(run(command))


def _facts(job: "JobStatus") -> dict[str, object]:
    progress = job.progress
    amount = f"{progress.done:,}" + (f" of {progress.total:,}" if progress.total else "")
    attempts = f"{job.attempts}" + (f" of {job.max_attempts}" if job.max_attempts else "")
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": f"{progress.percent:.0f} %" if progress.percent is not None else None,
        "step": progress.step,
        "done": f"{amount} {progress.unit}".rstrip() if progress.done else None,
        "message": progress.message,
        "rate": f"{progress.rate:g} {progress.unit}/s" if progress.rate and progress.unit else None,
        "time left": wording.duration(progress.eta_seconds) if progress.eta_seconds else None,
        "held because": job.held_because,
        "attempts": attempts if job.attempts else None,
        "next attempt": wording.ago(job.next_attempt_at) if job.next_attempt_at else None,
        "error": f"{job.error.type}: {job.error.message}" if job.error else None,
        "owner": job.owner,
        "priority": job.priority,
        "tags": " ".join(f"{name}={value}" for name, value in job.tags.items()),
        "submitted": wording.ago(job.created_at),
        "due": wording.ago(job.scheduled_at) if job.state == "scheduled" else None,
        "finished": wording.ago(job.finished_at) if job.finished_at else None,
        "took": wording.duration(
            (job.finished_at - (job.started_at or job.created_at)).total_seconds()
        )
        if job.finished_at
        else None,
        "input": output.compact(_given(job.input)) if job.input else None,
        "result": output.compact(job.result) if job.result else None,
        "web UI": job.links.temporal_ui,
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an input that say something."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON document a line.")
    ] = False,
) -> None:
    """Tell what happened to a job, step by step."""

    async def command(session: Session) -> None:
        async for line in session.jobs.logs(job_id, follow=follow):
            if as_jsonl:
                output.print_json_line(line)
                continue
            attempt = f"attempt {line.attempt}" if line.attempt else None
            at = line.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
            parts = (
                at,
                line.level if line.level != "info" else None,
                line.step,
                attempt,
                line.text,
            )
            sys.stdout.write("  ".join(part for part in parts if part) + "\n")
            sys.stdout.flush()

    run(command)


def result(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(help="Write the job's file there, a folder takes all of them.")
    ] = None,
) -> None:
    """Print what a completed job gave, or fetch its files."""

    async def command(session: Session) -> None:
        given = await session.jobs.result(job_id)
        if out is None:
            output.print_json(given)
            return
        for key, path in _files(given, out).items():
            stored = await session.storage().fetch(key, path)
            output.say(f"{path}  {stored.size:,} bytes")

    run(command)


def _files(given: dict[str, Any], out: Path) -> dict[str, Path]:
    """Return where each file of a result goes, by its key in storage."""
    from jobs.errors import InvalidInputError, Problem

    files = [item for item in given.get("files", []) if isinstance(item, dict) and "key" in item]
    files += [
        value
        for value in given.values()
        if isinstance(value, dict) and "key" in value and value not in files
    ]
    if not files:
        raise InvalidInputError([Problem("out", "this job's result names no file")])
    if out.is_dir():
        return {item["key"]: out / Path(item["key"]).name for item in files}
    if len(files) > 1:
        problem = Problem("out", f"the result has {len(files)} files: name an existing folder")
        raise InvalidInputError([problem])
    return {files[0]["key"]: out}


def open_job(job_id: JobId) -> None:
    """Open a job's page in the Temporal Web UI."""

    async def command(session: Session) -> str:
        from jobs.errors import InvalidInputError, Problem

        job = await session.jobs.status(job_id)
        if job.links.temporal_ui is None:
            fix = "set CONVEYOR_TEMPORAL_UI_URL to the address of the Temporal Web UI"
            raise InvalidInputError([Problem("", fix)])
        return job.links.temporal_ui

    page = run(command)
    sys.stdout.write(f"{page}\n")
    typer.launch(page)


def reschedule(
    job_id: JobId,
    at: Annotated[str, typer.Option(help="Begin then: 2027-01-31T09:00:00+01:00.")],
    as_json: AsJson = False,
) -> None:
    """Let a job that has not begun begin at another time."""

    async def command(session: Session) -> None:
        from jobs.times import parse_instant

        job = await session.jobs.reschedule(job_id, parse_instant("at", at))
        if as_json:
            output.print_json(job)
        else:
            output.say(f"{job.id} begins {wording.ago(job.scheduled_at)}")

    run(command)


def promote(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a job that has not begun begin now."""

    async def command(session: Session) -> None:
        job = await session.jobs.promote(job_id)
        if as_json:
            output.print_json(job)
        else:
            output.say(f"{job.id} begins now")

    run(command)
