"""What tests of imports and exports share: jobs run step by step, without a server."""

import dataclasses
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.exports import ExportActivities, Objects
from activities.imports import ImportActivities
from adapters.database import Database
from adapters.database.transfers import TABLES, Exports, Imports
from adapters.storage import Storage
from adapters.transfers import SourceFiles, open_writer
from jobs.exports import ExportData, ExportResult
from jobs.imports import ImportData, ImportResult
from jobs.status import Progress


def environment(job_id: str, run_id: str) -> ActivityEnvironment:
    """An activity's surroundings in one run of one job."""
    made = ActivityEnvironment()
    made.info = dataclasses.replace(made.info, workflow_id=job_id, workflow_run_id=run_id)
    return made


@dataclass
class Importing:
    """Imports files into a database, one job after another."""

    database: Database
    storage: Storage = field(default_factory=lambda: Storage.open("memory:"))
    beats: list[Progress] = field(default_factory=list)

    @property
    def steps(self) -> ImportActivities:
        """The steps as a worker has them."""
        return ImportActivities(self.storage, SourceFiles(), Imports(self.database))

    async def file(self, name: str, content: bytes | str, **options: object) -> ImportResult:
        """Store ``content`` and import it."""
        data = content.encode() if isinstance(content, str) else content
        await self.storage.put(name, data)
        return await self.run(ImportData.model_validate({"source": name, **options}))

    async def run(
        self, job: ImportData, *, job_id: str | None = None, run_id: str | None = None
    ) -> ImportResult:
        """Carry out ``job``, step by step."""
        surroundings = environment(job_id or f"import-{uuid4().hex}", run_id or uuid4().hex)
        surroundings.on_heartbeat = lambda progress, _: self.beats.append(progress)
        plan = await surroundings.run(self.steps.inspect, job)
        await surroundings.run(self.steps.load, plan)
        return await surroundings.run(self.steps.finish, plan)

    async def rows(self, target: str) -> list[dict[str, object]]:
        """Everything in a target's table, by key."""
        table = TABLES[target]
        async with self.database.snapshot() as connection:
            found = await connection.execute(select(table).order_by(table.c.id))
            return [dict(row._mapping) for row in found]

    async def text(self, key: str) -> str:
        """The content of a stored text file."""
        return (await self.storage.get(key)).decode("utf-8-sig")


@dataclass
class Exporting:
    """Exports from a database, one job after another."""

    database: Database
    objects: Objects = field(default_factory=lambda: Storage.open("memory:"))
    part_rows: int = 100_000

    async def run(
        self, *, run_id: str | None = None, attempt: int = 1, **options: object
    ) -> ExportResult:
        """Carry out one export."""
        steps = ExportActivities(self.objects, Exports(self.database), open_writer, self.part_rows)
        surroundings = environment(f"export-{uuid4().hex}", run_id or uuid4().hex)
        surroundings.info = dataclasses.replace(surroundings.info, attempt=attempt)
        job = ExportData.model_validate({"query": "orders", **options})
        return await surroundings.run(steps.write, job)

    async def content(self, result: ExportResult) -> bytes:
        """The bytes of the file that an export made."""
        return b"".join([piece async for piece in self.objects.stream(result.file.key)])
