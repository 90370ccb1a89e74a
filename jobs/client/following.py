"""Following one job for many: what is new since the last look, in one call where nothing is."""

from dataclasses import dataclass

from temporalio.client import Client

from jobs.client import reading
from jobs.client.connection import translated_errors
from jobs.client.logs import LogLine, Teller
from jobs.status import JobStatus


@dataclass(frozen=True, slots=True)
class Look:
    """A job as it is, and the lines that its log has got since the last look."""

    job: JobStatus
    lines: tuple[LogLine, ...]


class Follower:
    """Looks at a job; asks for its history only when that has grown."""

    def __init__(
        self, client: Client, job_id: str, *, ui_url: str | None = None, owner: str | None = None
    ) -> None:
        self._client = client
        self._job_id = job_id
        self._ui_url = ui_url
        self._owner = owner
        self._run_id = ""
        self._length = 0
        self._teller = Teller(client)
        self._told = 0

    async def look(self) -> Look:
        """Look now. A new run of the same id begins a new log.

        Raises:
            JobNotFoundError: there is no such job, or it is another owner's.
            ServerUnreachableError: the server does not answer.
        """
        description = await reading.describe(self._client, self._job_id, owner=self._owner)
        job = await reading.told(self._client, description, ui_url=self._ui_url)
        length = description.workflow_execution_info.history_length
        if job.run_id == self._run_id and length == self._length:
            return Look(job, ())
        if job.run_id != self._run_id:
            self._run_id, self._told, self._teller = job.run_id, 0, Teller(self._client)
        self._length = length
        return Look(job, await self._new_lines())

    async def _new_lines(self) -> tuple[LogLine, ...]:
        lines: list[LogLine] = []
        handle = self._client.get_workflow_handle(self._job_id, run_id=self._run_id)
        with translated_errors(self._job_id):
            async for event in handle.fetch_history_events(skip_archival=True):
                if event.event_id > self._told:
                    lines += await self._teller.tell(event)
                    self._told = event.event_id
        return tuple(lines)
