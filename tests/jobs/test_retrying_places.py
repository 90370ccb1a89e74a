"""A step that needs a place needs one again when it is retried."""

from temporalio.client import Client
from temporalio.worker import Worker

from activities.places import PlaceActivities
from jobs.client import JobClient, reading, retrying
from jobs.client.places import JobsOnServer
from jobs.status import JobState
from tests.jobs.notes import Note, NoteSteps
from tests.jobs.placed import FileInPlaceWorkflow
from workflows.places import KeepPlacesWorkflow
from workflows.sandbox import RUNNER


async def test_a_retried_job_takes_its_place_again_and_keeps_what_was_before(
    client: Client, unique: str
) -> None:
    steps, jobs = NoteSteps(), JobClient(client)
    note = Note(text=unique, behave="refuse")
    async with Worker(
        client,
        task_queue=unique,
        workflows=[FileInPlaceWorkflow, KeepPlacesWorkflow],
        activities=[*steps.all(), *PlaceActivities(JobsOnServer(client)).all()],
        workflow_runner=RUNNER,
    ):
        for number in range(2):
            await client.start_workflow(
                FileInPlaceWorkflow.run, note, id=f"{unique}-{number}", task_queue=unique
            )
        for number in range(2):
            assert (await jobs.wait(f"{unique}-{number}")).state is JobState.FAILED
        steps.mended = True
        described = await reading.describe(client, f"{unique}-0")
        retried = await retrying.retry(client, described, now=False)
        final = await jobs.wait(f"{unique}-0")
    told = "from the failed step, 2of2 notes.file, when it has its place again"
    assert (retried.how, final.state) == (told, JobState.COMPLETED)
    assert steps.begun.count("read") == 2
    assert steps.begun.count("file") == 3
