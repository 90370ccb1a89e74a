"""Encrypted jobs on a real server with a file: what it holds, and who can read it."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.worker import Worker

from activities.failures import FailureActivities
from activities.interceptor import StepInterceptor
from adapters import devserver
from adapters.codec import open_codec
from jobs import kinds
from jobs.client import JobClient, Submission, connect, reading
from jobs.encryption import EncryptionKey, EncryptionKeyMissing, key_id_of, parse_keys
from jobs.failures import FinalFailure
from jobs.schedules.client import ScheduleClient
from jobs.schedules.definitions import parse_schedules
from jobs.status import JobStatus
from tests.conftest import HEARTBEAT_INTERVAL
from tests.end_to_end.confidences import CONFIDENCE, ConfidenceSteps, KeepConfidenceWorkflow
from tests.end_to_end.installation import PATIENCE_S, Installation
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER

PLACES = ("input", "summary", "heartbeat", "delay", "details", "failure", "result", "reason")


def key(key_id: str, byte: int = 1) -> str:
    """A key as it is written; of one byte repeated."""
    return f"{key_id}:{base64.b64encode(bytes([byte]) * 32).decode()}"


OLD, NEW = key("2026", 1), key("2027", 2)


class Silent:
    """Takes final failures and says nothing."""

    async def report(self, failure: FinalFailure) -> None:
        assert failure.job_id

    async def attempts(self, job_id: str, run_id: str) -> int:
        return len(job_id + run_id)


@dataclass(frozen=True)
class Place:
    """A server and its file."""

    address: str
    folder: Path

    async def client(self, *keys: str) -> Client:
        """Return a client that has those keys."""
        written: Sequence[EncryptionKey] = parse_keys(",".join(keys)) if keys else ()
        return await connect(address=self.address, codec=open_codec(written))

    def holds(self, text: str) -> bool:
        """Tell whether a text stands in the server's file, or in the part not yet merged."""
        files = self.folder.glob("temporal/temporal.db*")
        return any(text.encode() in path.read_bytes() for path in files)


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("encrypted")
    async with await devserver.ensure(folder, port=0) as embedded:
        yield Place(embedded.server.address, folder)


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, object]", kinds.KINDS), CONFIDENCE.name, CONFIDENCE)
    by_workflow = cast("dict[str, object]", kinds.KINDS_BY_WORKFLOW)
    monkeypatch.setitem(by_workflow, CONFIDENCE.workflow, CONFIDENCE)


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=CONFIDENCE.queue,
        workflows=[KeepConfidenceWorkflow],
        activities=[*ConfidenceSteps().all(), *FailureActivities(Silent(), Silent()).all()],
        workflow_runner=RUNNER,
        interceptors=[StepInterceptor(), FinalFailureInterceptor()],
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
    ):
        yield


async def submitted(client: Client, word: str, ends: str = "completed") -> str:
    data = {"word": word, "text": f"{word}-input", "ends": ends}
    options = Submission(key=uuid.uuid4().hex)
    return (await JobClient(client).submit("confidence", data, options)).id


async def until(client: Client, job_id: str, state: str) -> JobStatus:
    async for job in JobClient(client).watch(job_id):
        if job.state == state:
            return job
    raise AssertionError(await JobClient(client).status(job_id))


async def all_ways(client: Client, word: str) -> dict[str, str]:
    """Run a job to each end, and return their ids; the worker is gone afterwards."""
    async with working(client):
        ids = {e: await submitted(client, word, e) for e in ("completed", "failed", "retrying")}
        for end, job_id in ids.items():
            await until(client, job_id, end)
        held = client.get_workflow_handle(ids["retrying"])
        await held.signal("hold", f"{word}-reason")
    return ids


async def test_the_servers_file_holds_the_secrets_of_plain_jobs_and_none_of_encrypted_ones(
    place: Place,
) -> None:
    await all_ways(await place.client(), "plainword")
    await all_ways(await place.client(OLD), "sealedword")
    assert [name for name in PLACES if not place.holds(f"plainword-{name}")] == []
    assert [name for name in PLACES if place.holds(f"sealedword-{name}")] == []


async def test_an_encrypted_job_is_told_in_full_with_no_worker(place: Place) -> None:
    client = await place.client(OLD)
    ids = await all_ways(client, "told")
    jobs = JobClient(client)
    job = await jobs.status(ids["retrying"], with_input=True)
    assert job.progress.message == "told-heartbeat"
    assert job.error is not None
    assert (job.error.type, job.error.message) == ("ConfidenceDelayed", "told-delay")
    assert job.input == {"word": "told", "text": "told-input", "ends": "retrying"}
    failed = await jobs.status(ids["failed"])
    assert failed.error is not None
    assert failed.error.message == "told-failure"
    assert await jobs.result(ids["completed"]) == {"text": "told-result"}
    lines = [line.text async for line in jobs.logs(ids["failed"])]
    assert any("ConfidenceBroken: told-failure" in line for line in lines)
    look = await jobs.follower(ids["retrying"]).look()
    assert any("told-reason" in line.text for line in look.lines)


async def test_submitting_an_encrypted_job_again_finds_it(place: Place) -> None:
    jobs = JobClient(await place.client(OLD))
    data, options = {"word": "again", "text": "t"}, Submission(key=uuid.uuid4().hex)
    first = await jobs.submit("confidence", data, options)
    again = await jobs.submit("confidence", data, options)
    assert (again.id, again.created) == (first.id, False)


async def test_after_a_rotation_old_jobs_are_read_and_new_payloads_have_the_new_key(
    place: Place,
) -> None:
    before = await place.client(OLD)
    finished = (await all_ways(before, "old"))["completed"]
    open_job = await submitted(before, "old")
    rotated = await place.client(NEW, OLD)
    async with working(rotated):
        job = await until(rotated, open_job, "completed")
    assert job.result == {"text": "old-result"}
    assert await key_ids(rotated, open_job) == {"2026", "2027"}
    assert await JobClient(rotated).result(finished) == {"text": "old-result"}
    assert await key_ids(rotated, await submitted(rotated, "new")) == {"2027"}
    with pytest.raises(EncryptionKeyMissing, match=r"'2026'.*CONVEYOR_ENCRYPTION_KEYS"):
        await JobClient(await place.client(NEW)).result(finished)


async def key_ids(client: Client, job_id: str) -> set[str | None]:
    """Return the keys under which a job's history holds its input and results."""
    found: set[str | None] = set()
    async for event in client.get_workflow_handle(job_id).fetch_history_events():
        started = event.workflow_execution_started_event_attributes.input.payloads
        completed = event.activity_task_completed_event_attributes.result.payloads
        found |= {key_id_of(payload) for payload in (*started, *completed)}
    return found


async def test_a_plain_job_is_read_and_finished_after_encryption_is_switched_on(
    place: Place,
) -> None:
    plain = await place.client()
    job_id = await submitted(plain, "early")
    encrypting = await place.client(NEW)
    async with working(encrypting):
        job = await until(encrypting, job_id, "completed")
    assert job.result == {"text": "early-result"}
    assert await key_ids(encrypting, job_id) == {None, "2027"}


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["no key", "another key"])
async def test_who_lacks_the_key_is_told_its_id_and_sees_the_rest(
    place: Place, keys: tuple[str, ...]
) -> None:
    ids = await all_ways(await place.client(OLD), "closed")
    jobs = JobClient(await place.client(*keys))
    job = await jobs.status(ids["retrying"])
    assert job.state == "retrying"
    assert job.error is not None
    assert job.error.type == "ConfidenceDelayed"
    assert "'2026'" in job.error.message
    told = [line.text async for line in jobs.logs(ids["retrying"])]
    assert any(line.startswith("hold: a payload is encrypted") for line in told)
    async with asyncio.timeout(PATIENCE_S):  # the index lags a few milliseconds
        while ids["completed"] not in [each.id for each in (await jobs.list()).jobs]:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    with pytest.raises(EncryptionKeyMissing, match="key id '2026'"):
        await jobs.result(ids["completed"])


async def waits_for_a_key(place: Place, job_id: str, *keys: str) -> JobStatus:
    """Let a worker that has only those keys meet a job, and return how the job stands then."""
    jobs = JobClient(await place.client(NEW, OLD))
    async with working(await place.client(*keys)):
        async for line in jobs.logs(job_id, follow=True):
            if "workflow task failed" in line.text:
                assert "key id '2026'" in line.text
                break
    return await jobs.status(job_id)


async def test_a_worker_that_lacks_a_jobs_key_leaves_it_waiting(place: Place) -> None:
    job_id = await submitted(await place.client(OLD), "lost")
    assert not (await waits_for_a_key(place, job_id, NEW)).state.final


async def test_a_job_outlives_a_worker_without_keys(place: Place) -> None:
    client = await place.client(OLD)
    job_id = await submitted(client, "lost")
    assert not (await waits_for_a_key(place, job_id)).state.final
    async with working(client):
        assert (await JobClient(client).wait(job_id)).result == {"text": "lost-result"}


async def test_a_step_on_a_worker_that_lacks_the_key_is_tried_again_and_names_the_key(
    place: Place,
) -> None:
    client = await place.client(OLD)
    queue = CONFIDENCE.queue
    deciding = Worker(
        client, task_queue=queue, workflows=[KeepConfidenceWorkflow], workflow_runner=RUNNER
    )
    doing = Worker(await place.client(), task_queue=queue, activities=ConfidenceSteps().all())
    async with deciding, doing:
        job = await until(client, await submitted(client, "lost"), "retrying")
    assert job.error is not None
    assert job.error.type == "EncryptionKeyMissing"
    assert "'2026'" in job.error.message


async def test_an_input_that_was_copied_into_another_job_is_refused(place: Place) -> None:
    client = await place.client(OLD)
    first = await submitted(client, "mine")
    description = await reading.describe(client, first)
    run_id = description.workflow_execution_info.execution.run_id
    started = await reading.first_event(client, first, run_id)
    copied = started.workflow_execution_started_event_attributes.input.payloads[0]
    handle = await (await place.client()).start_workflow(
        CONFIDENCE.workflow,
        RawValue(copied),
        id=f"confidence-{uuid.uuid4().hex}",
        task_queue=CONFIDENCE.queue,
    )
    async with working(client):
        job = await JobClient(client).wait(handle.id)
    assert job.error is not None
    assert job.error.type == "PayloadAltered"


async def test_schedules_are_written_anew_under_a_new_key_by_the_next_apply(place: Place) -> None:
    reports = [{"type": "sales", "period": "yesterday"}]
    schedule = {"id": "nightly", "at": "02:00", "time_zone": "UTC", "reports": reports}
    file = parse_schedules({"schedule": [schedule]})

    async def apply(*keys: str) -> list[tuple[str, tuple[str, ...]]]:
        changes = await ScheduleClient(await place.client(*keys)).apply(file)
        return [(change.action, change.differences) for change in changes]

    assert await apply(OLD) == [("create", ()), ("create", ())]
    assert await apply(NEW, OLD) == [("update", ("encryption key: 2026 -> 2027",))] * 2
    assert await apply(NEW) == [("keep", ()), ("keep", ())]
    schedules = ScheduleClient(await place.client(NEW))
    async with asyncio.timeout(PATIENCE_S):  # the index lags a few milliseconds
        while [each.id for each in await schedules.list()] != ["nightly", "schedule-watch"]:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.1)
    assert {action for action, _ in await apply(key("2028", 3))} == {"update"}


def test_a_rotation_as_the_page_tells_it_with_worker_and_command_line(
    installation: Installation,
) -> None:
    old, new = (installation.run("encryption-key", "--id", name).out.strip() for name in ("a", "b"))
    mail = ("email", "template=welcome", "to=ada@example.com", "data.name=Ada")
    first = installation.run("submit", *mail, CONVEYOR_ENCRYPTION_KEYS=old).out.strip()
    installation.variables = {**installation.variables, "CONVEYOR_ENCRYPTION_KEYS": f"{new},{old}"}
    with installation.worker() as worker:
        assert "  encryption key b, also reads a" in worker.text().splitlines()
        second = installation.submit(*mail)
        for job_id in (first, second):
            assert installation.until(job_id, "completed")["result"]["delivery"] == "sent"
    without = installation.run("result", first, CONVEYOR_ENCRYPTION_KEYS=old)
    assert (without.code, "key id 'b'" in without.err) == (2, True)
    assert "Traceback" not in without.err


def test_a_worker_with_a_wrong_key_does_not_start_and_does_not_show_it(
    installation: Installation,
) -> None:
    wrong = "2027:c2hvcnQ="
    with (
        pytest.raises(AssertionError, match="key 1 has 5 bytes instead of 32") as caught,
        installation.worker(CONVEYOR_ENCRYPTION_KEYS=wrong),
    ):
        pass
    assert "c2hvcnQ" not in str(caught.value)
