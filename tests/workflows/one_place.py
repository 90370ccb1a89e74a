"""A workflow that works in a place, to test places.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from datetime import timedelta

from temporalio import workflow

from workflows.places import place

LOOK = timedelta(seconds=2)


@workflow.defn(name="WorkInPlace")
class WorkInPlaceWorkflow:
    """Has a place until ``leave``."""

    def __init__(self) -> None:
        self._leave = False
        self._works = False

    @workflow.signal
    def leave(self) -> None:
        self._leave = True

    @workflow.query
    def works(self) -> bool:
        return self._works

    @workflow.run
    async def run(self, key: str) -> None:
        async with place("work", key, limit=2, look_interval=LOOK):
            self._works = True
            await workflow.wait_condition(lambda: self._leave)
