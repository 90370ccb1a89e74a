"""Whether jobs live, for who hands out places."""

from dataclasses import dataclass

from temporalio.client import Client

from jobs.client import reading
from jobs.errors import JobNotFoundError
from jobs.status import derive_state


@dataclass(frozen=True, slots=True)
class JobsOnServer:
    """The jobs of one Temporal namespace."""

    temporal: Client

    async def is_open(self, job_id: str) -> bool:
        """Tell whether a job's newest run has not ended."""
        try:
            return not derive_state(await reading.describe(self.temporal, job_id)).final
        except JobNotFoundError:
            return False
