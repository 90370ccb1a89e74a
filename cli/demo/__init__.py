"""``starter.py demo``: every kind of job on real input, on a real server."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import exits
from cli import output

if TYPE_CHECKING:
    from cli.demo.stage import Act, Stage


def demo() -> None:
    """Run every kind of job once and check what came of it.

    Uses a Temporal server, a mail catcher and a worker of its own, in the folder `demo` of the data
    folder; nothing else on this machine is touched. Ends 0 only if every result is as expected.
    """
    if not asyncio.run(_run()):
        raise typer.Exit(exits.UNEXPECTED)


async def _run() -> bool:
    import settings as environment
    from adapters import telemetry
    from cli.demo.acts import ACTS
    from cli.demo.stage import open_stage
    from cli.demo.table import LiveTable

    telemetry.set_up_logging("text", level=telemetry.QUIET)
    folder = environment.load().data_dir / "demo"
    await asyncio.to_thread(_clear, folder)
    async with AsyncExitStack() as stack:
        output.say("starting a Temporal server, a mail catcher and a worker ...")
        stage = await stack.enter_async_context(open_stage(folder))
        output.say(f"Web UI, while this runs: {stage.ui}")
        table = stack.enter_context(LiveTable(ACTS))
        results = await asyncio.gather(*(_play(act, stage, table) for act in ACTS))
    passed = sum(results)
    output.say(f"{passed} of {len(results)} jobs as expected; everything they made is in {folder}/")
    return passed == len(results)


async def _play(act: "Act", stage: "Stage", table: "object") -> bool:
    from cli.demo.stage import Unexpected
    from cli.demo.table import LiveTable
    from jobs.client import Submission
    from jobs.errors import ConveyorError

    assert isinstance(table, LiveTable)  # noqa: S101 (imported late, to keep `--help` fast)
    try:
        data = await act.input(stage)
        job = await stage.jobs.submit(act.kind, data, Submission(key=act.key))
        async for seen in stage.jobs.watch(job.id):
            table.show(act, job := seen)
        where = await act.expect(stage, job)
    except (ConveyorError, Unexpected) as error:
        table.fail(act, str(error))
        return False
    table.succeed(act, where)
    return True


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
