"""A workflow that reads the clock of the machine, which no replay could repeat.

In a module of its own: the sandbox imports it anew, and must not meet the fixtures.
"""

from datetime import UTC, datetime

from temporalio import workflow


@workflow.defn
class ReadClockWorkflow:
    @workflow.run
    async def run(self) -> str:
        return datetime.now(UTC).isoformat()
