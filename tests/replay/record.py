"""Record what jobs of this release leave in their histories: ``python -m tests.replay.record``.

Plays every scenario on real servers, with real steps, and writes the histories of this release anew
(``tests/replay/histories/<release>``); those of earlier releases stay as they are. With words after
the command only scenarios whose name has one of them, or whose workflow type is one of them.

Run it for a release, after a new kind, and after a change that makes old jobs take another way.
"""

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from jobs import attributes
from jobs.converter import DATA_CONVERTER
from tests.conftest import SERVER_OPTIONS, temporal_binary
from tests.replay import histories
from tests.replay.house import House, open_house
from tests.replay.scenarios import ALL
from tests.replay.scenarios.scenario import Scenario

FEW_EVENTS: Final = "limit.historyCount.suggestContinueAsNew=40"
LONGEST_S: Final = 180


@asynccontextmanager
async def open_server(*, skips_time: bool) -> AsyncIterator[Client]:
    """Run a Temporal server of the recorder's own."""
    start = (
        WorkflowEnvironment.start_time_skipping_v2
        if skips_time
        else WorkflowEnvironment.start_local
    )
    few = ["--dynamic-config-value", FEW_EVENTS] if skips_time else []
    async with await start(
        dev_server_existing_path=temporal_binary(),
        data_converter=DATA_CONVERTER,
        search_attributes=attributes.ALL,
        dev_server_extra_args=[*SERVER_OPTIONS, *few, "--log-level", "never"],
    ) as environment:
        yield environment.client


async def record(scenarios: Sequence[Scenario]) -> list[str]:
    """Play the scenarios; return what went wrong."""
    troubles = []
    with tempfile.TemporaryDirectory(prefix="replay-") as top:
        async with AsyncExitStack() as stack:
            houses: dict[bool, House] = {}
            for skips in sorted({scenario.skips_time for scenario in scenarios}):
                client = await stack.enter_async_context(open_server(skips_time=skips))
                folder = Path(top, "skipping" if skips else "real")
                houses[skips] = await stack.enter_async_context(open_house(client, folder))
            for scenario in scenarios:
                sys.stderr.write(f"{scenario.label} ... ")
                sys.stderr.flush()
                house = houses[scenario.skips_time]
                house.tidy()
                try:
                    async with asyncio.timeout(LONGEST_S):
                        paths = await keep(house, scenario)
                except Exception as error:  # noqa: BLE001 - told at the end; the others go on
                    troubles.append(f"{scenario.label}: {type(error).__name__}: {error}")
                    sys.stderr.write("not recorded\n")
                else:
                    told = ", ".join(f"{path.parent.name}/{path.name}" for path in paths)
                    sys.stderr.write(f"{told}\n")
    return troubles


async def keep(house: House, scenario: Scenario) -> list[Path]:
    """Play one scenario and write the histories of its jobs, each run of them."""
    kept: Counter[str] = Counter()
    paths = []
    for job_id in await scenario.play(house):
        runs = [run async for run in house.client.list_workflows(f"WorkflowId = '{job_id}'")]
        for run in sorted(runs, key=lambda run: run.start_time):
            handle = house.client.get_workflow_handle(job_id, run_id=run.run_id)
            history = await handle.fetch_history()
            kept[run.workflow_type] += 1
            number = kept[run.workflow_type]
            name = scenario.name if number == 1 else f"{scenario.name}-{number}"
            paths.append(histories.save(history, name))
    return paths


def chosen(words: Sequence[str]) -> list[Scenario]:
    """Return the scenarios that one of the words is in, or all."""
    return [each for each in ALL if not words or any(word in each.label for word in words)]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # of failures that the scenarios want
    played = chosen(sys.argv[1:])
    told = asyncio.run(record(played)) if played else ["no scenario has such a name"]
    sys.stderr.write("".join(f"{trouble}\n" for trouble in told))
    sys.exit(len(told) > 0)
