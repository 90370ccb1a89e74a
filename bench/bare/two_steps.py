"""The steps of a job of two, of which the second fails until it is mended."""

from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from bench.bare.steps import Ping


@dataclass
class TwoSteps:
    """Counts how often each was run."""

    mended: bool = False
    first: int = 0
    second: int = 0

    @activity.defn(name="bare.first")
    async def run_first(self, ping: Ping) -> Ping:
        """Do nothing."""
        self.first += 1
        return ping

    @activity.defn(name="bare.second")
    async def run_second(self, ping: Ping) -> Ping:
        """Fail for good, or do nothing."""
        self.second += 1
        if not self.mended:
            msg = "not mended yet"
            raise ApplicationError(
                msg,
                type="NotMended",
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # a thousand of them need not be told
            )
        return ping
