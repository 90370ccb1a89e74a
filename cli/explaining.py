"""``explain``: why a job is where it is."""

import sys

from cli import output
from cli.jobs import AsJson, JobId
from cli.session import Session, run


def explain(job_id: JobId, as_json: AsJson = False) -> None:
    """Say why a job is where it is, and what can be done about it."""

    async def command(session: Session) -> None:
        told = await session.jobs.explain(job_id)
        if as_json:
            output.print_json(told)
            return
        sys.stdout.write(f"{told.text}\n")
        if told.advice:
            output.say(f"-> {told.advice}")

    run(command)
