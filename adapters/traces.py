"""The traces of a job by kind: its files between steps, its results, its ledgers.

Kept although their job is erased, because they are no trace of one job alone:

- the ledgers of mails (``email_send``, ``mailing_recipient``): an attempt that comes back to life
  must still find that its mail went out. They hold keyed hashes, no address;
- events received and published, and the log of deliveries: they have a retention of their own, and
  replays need them;
- rows that an import wrote, and uploads: they are the application's.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from adapters.database import Database
from adapters.database.batches import BatchLedger
from adapters.database.images import Images
from adapters.database.transfers import Exports, Imports
from adapters.storage import Storage
from jobs.files import StoredObject, folder_of
from jobs.traces import Erased

FOLDERS: Final = ("jobs", "work", "reports")
"""Where jobs store files, each in a folder of its own: ``jobs/<job id>/``."""

BETWEEN_STEPS: Final = {
    "report": ("jobs/{}/",),
    "export": ("jobs/{}/parts/",),
    "mailing": ("jobs/{}/recipients-",),
    "batch": ("jobs/{}/items.jsonl",),
}
"""How the keys begin that are no results, besides everything in ``work/``."""


@dataclass(frozen=True, slots=True)
class Traces:
    """Finds and erases what a job left in storage and in the application database."""

    storage: Storage
    database: Database

    async def find(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        """Return how much ``erase`` would delete now."""
        found = Erased(rows=await self._rows(kind, job_id, run_id, results=results))
        async for stored in self._files(kind, job_id, results=results):
            found = found.plus(Erased(files=1, bytes=stored.size))
        return found

    async def erase(self, kind: str, job_id: str, run_id: str, *, results: bool) -> Erased:
        """Delete what a job left behind; what is gone already is fine, so repeat it at will.

        The job must have ended. Ledgers go first: the folder tells what is left of the rest.

        Args:
            kind: The job's kind.
            job_id: Its id.
            run_id: Its newest run; of exports, whose ledger is by run, others are found by their
                files.
            results: Whether also what the user asked for: reports, pictures, exports, rejects.

        Raises:
            TransientError: Storage or the database failed; some of it may be gone.
            StorageDenied: The store refused.
        """
        erased = Erased(rows=await self._rows(kind, job_id, run_id, results=results))
        match kind:
            case "import":
                await Imports(self.database).forget(job_id)
            case "export":
                for run in await self._export_runs(job_id, run_id):
                    await Exports(self.database).forget(run)
            case "batch":
                await BatchLedger(self.database).forget(job_id)
            case "image" if results:
                await Images(self.database).forget(job_id)
            case _:
                pass
        async for stored in self._files(kind, job_id, results=results):
            await self.storage.delete(stored.key)
            erased = erased.plus(Erased(files=1, bytes=stored.size))
        return erased

    async def _files(self, kind: str, job_id: str, *, results: bool) -> AsyncIterator[StoredObject]:
        folder = folder_of(job_id)
        between = tuple(start.format(folder) for start in BETWEEN_STEPS.get(kind, ()))
        for top in FOLDERS:
            async for stored in self.storage.list(f"{top}/{folder}"):
                if results or top == "work" or stored.key.startswith(between):
                    yield stored

    async def _rows(self, kind: str, job_id: str, run_id: str, *, results: bool) -> int:
        match kind:
            case "import":
                return await Imports(self.database).size(job_id)
            case "export":
                exports = Exports(self.database)
                runs = await self._export_runs(job_id, run_id)
                return sum([await exports.size(run) for run in runs])
            case "batch":
                return await BatchLedger(self.database).size(job_id)
            case "image" if results:
                return await Images(self.database).made_by(job_id)
            case _:
                return 0

    async def _export_runs(self, job_id: str, run_id: str) -> list[str]:
        """Return the runs of an export that have left parts, and the newest."""
        parts = f"jobs/{folder_of(job_id)}/parts"
        found = {run_id}
        async for stored in self.storage.list(parts):
            found.add(stored.key.removeprefix(f"{parts}/").partition("/")[0])
        return sorted(found)
