"""All is lost, and goes on from a copy taken while it ran: nothing missing, nothing twice.

The commands are those of docs/operate/backup.md.
"""

import asyncio
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from typing_extensions import override

from adapters import devserver
from jobs.client import JobClient, connect
from jobs.emails import EMAIL
from jobs.status import JobState
from tests.adapters.conftest import make_postgresql_database
from tests.end_to_end.installation import Installation
from tests.mail_relay import ScriptedRelay, mail_relay
from tests.servers import postgresql_program

pytestmark = pytest.mark.slow

MAILS = 24
BEFORE = 10
"""Mails that have gone out when the copy is taken."""


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with mail_relay() as opened:
        yield opened


class OwnDatabase:
    """The application's database is a file of the data folder, and in its copy."""

    def __init__(self) -> None:
        self.variables: Mapping[str, str] = {}

    def save(self, folder: Path) -> None:
        """Do nothing: ``starter.py backup`` does it."""

    def lose(self) -> None:
        """Do nothing: the folder is lost as a whole."""

    def restore(self, folder: Path) -> None:
        """Do nothing: the folder is put back as a whole."""


class PostgresqlDatabase(OwnDatabase):
    """The application's database is PostgreSQL's, copied by its own programs."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        url = make_postgresql_database(folder)
        self.variables = {"CONVEYOR_DATABASE_URL": url}
        self.name = url.partition("?")[0].rpartition("/")[2]
        self.at = ("--host", folder, "--username", "postgres")

    def run(self, program: str, *options: str) -> None:
        subprocess.run([postgresql_program(program), *self.at, *options], check=True)

    @override
    def save(self, folder: Path) -> None:
        self.run("pg_dump", "--format=custom", f"--file={folder / 'conveyor.dump'}", self.name)

    @override
    def lose(self) -> None:
        self.run("dropdb", "--force", self.name)

    @override
    def restore(self, folder: Path) -> None:
        self.run("createdb", self.name)
        self.run("pg_restore", f"--dbname={self.name}", str(folder / "conveyor.dump"))


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest) -> OwnDatabase:
    """The application's database, in the data folder and elsewhere."""
    if request.param == "SQLite":
        return OwnDatabase()
    return PostgresqlDatabase(request.getfixturevalue("postgresql"))


class Place:
    """A data folder and what runs on it."""

    def __init__(self, folder: Path, relay: ScriptedRelay, database: OwnDatabase) -> None:
        self.folder = folder
        self.database = database
        self.smtp_url = f"smtp://127.0.0.1:{relay.port}?tls=none"

    async def server(self) -> devserver.EmbeddedServer:
        """Start the server on the folder's file."""
        return await devserver.ensure(self.folder / "data", port=0)

    async def on(self, server: devserver.EmbeddedServer) -> Installation:
        """Return how commands and workers are run, all set up."""
        variables = {
            "TEMPORAL_ADDRESS": server.server.address,
            "CONVEYOR_SMTP_URL": self.smtp_url,
            **self.database.variables,
        }
        installation = Installation(self.folder, variables)
        answer = await asyncio.to_thread(installation.run, "setup")
        assert answer.code == 0, answer.err
        return installation

    def save(self, copy: Path, installation: Installation) -> None:
        """Copy everything, in the right order."""
        answer = installation.run("backup", str(copy))
        assert answer.code == 0, answer.err
        self.database.save(copy)

    def lose(self) -> None:
        """Lose everything."""
        shutil.rmtree(self.folder / "data")
        self.database.lose()

    def restore(self, copy: Path) -> None:
        """Put the copy back."""
        shutil.copytree(copy, self.folder / "data")
        self.database.restore(copy)


async def submit(server: devserver.EmbeddedServer, prefix: str) -> dict[str, str]:
    """Submit mails and return their jobs by recipient."""
    jobs = JobClient(await connect(address=server.server.address))
    ids = {}
    for number in range(MAILS):
        to = f"{prefix}-{number}@example.com"
        mail = {"template": "welcome", "to": to, "data": {"name": "Ada"}}
        ids[to] = (await jobs.submit(EMAIL.name, mail)).id
    return ids


async def until_copied(
    place: Place, relay: ScriptedRelay, copy: Path, prefix: str
) -> dict[str, str]:
    """Send some of many mails, take a copy meanwhile, and lose everything else at once."""
    async with await place.server() as server:
        mails = await submit(server, prefix)
        installation = await place.on(server)
        relay.pause_after(BEFORE)
        running = installation.worker("--queue", "emails", "--slots", "emails=1")
        worker = await asyncio.to_thread(running.__enter__)
        await relay.paused.wait()
        await asyncio.to_thread(place.save, copy, installation)
        worker.process.kill()
        await asyncio.to_thread(running.__exit__, None, None, None)
    await asyncio.to_thread(place.lose)
    return mails


async def test_jobs_go_on_from_a_copy_that_was_taken_while_they_ran(
    relay: ScriptedRelay, database: OwnDatabase, tmp_path: Path, unique: str
) -> None:
    place, copy = Place(tmp_path, relay, database), tmp_path / "copy"
    mails = await until_copied(place, relay, copy, unique)
    await asyncio.to_thread(place.restore, copy)
    relay.go_on()
    async with await place.server() as server:
        running = (await place.on(server)).worker("--queue", "emails")
        await asyncio.to_thread(running.__enter__)
        jobs = JobClient(await connect(address=server.server.address))
        done = {to: await jobs.wait(job_id) for to, job_id in mails.items()}
        await asyncio.to_thread(running.__exit__, None, None, None)
    copies = Counter(received.recipient for received in relay.received)
    outcomes = Counter(job.result["delivery"] for job in done.values() if job.result)
    sys.stderr.write(f"\n{BEFORE} sent before the copy, outcomes {dict(outcomes)}\n")
    assert {job.state for job in done.values()} == {JobState.COMPLETED}
    assert copies == dict.fromkeys(mails, 1)
    assert outcomes["sent"] >= MAILS - 1
