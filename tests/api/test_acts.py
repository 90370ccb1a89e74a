"""Acts on jobs over HTTP, and by the buttons of the page."""

import html
import re

import httpx
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.redrives import RedriveActivities
from api.pages.acting import BUTTONS
from jobs.access import Scope
from jobs.client import redriving
from jobs.client.redriver import Redriver
from tests.api.conftest import Api
from tests.api.test_jobs import NOTE, eventually, until
from tests.jobs.conftest import StartWorker
from workflows.redrives import RedriveWorkflow
from workflows.sandbox import RUNNER

REFUSED = {"kind": "note", "input": {"text": "x", "behave": "refuse"}}


async def test_a_failed_job_is_retried_from_its_failed_step(api: Api, worker: StartWorker) -> None:
    async with api.as_owner("ada") as http, worker() as working:
        job = (await http.post("/v1/jobs", json=REFUSED)).json()["id"]
        await until(http, job, "failed")
        working.steps.mended = True
        retried = await http.post(f"/v1/jobs/{job}/retry")
        assert retried.status_code == 202
        await until(http, job, "completed")
        assert (await http.post(f"/v1/jobs/{job}/retry", json={"now": True})).status_code == 409
    assert working.steps.begun == ["read", "file", "file"]


async def test_a_job_is_held_explained_released_and_terminated(
    api: Api, worker: StartWorker
) -> None:
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()["id"]
        assert (await http.post(f"/v1/jobs/{job}/hold", json={"reason": " "})).status_code == 422
        held = await http.post(f"/v1/jobs/{job}/hold", json={"reason": "the price is wrong"})
        assert held.status_code == 202
        async with worker():
            await until(http, job, "held")
            told = (await http.get(f"/v1/jobs/{job}/explanation")).json()
            assert "the price is wrong" in str(told)
            assert (await http.post(f"/v1/jobs/{job}/release")).status_code == 202
            await until(http, job, "completed")
        assert (await http.post(f"/v1/jobs/{job}/release")).status_code == 409
        other = (await http.post("/v1/jobs", json=NOTE)).json()["id"]
        ended = await http.post(f"/v1/jobs/{other}/terminate", json={"reason": "it hangs"})
        assert (ended.status_code, ended.json()["state"]) == (202, "terminated")
        told = (await http.get(f"/v1/jobs/{other}/logs")).json()
        assert "terminated: it hangs" in [line["text"] for line in told["data"]]


async def test_an_operator_redrives_by_filter(
    api: Api,
    worker: StartWorker,
    client: Client,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = f"{unique}-redrives"
    monkeypatch.setattr(redriving, "QUEUE", queue)
    redrives = Worker(
        client,
        task_queue=queue,
        workflows=[RedriveWorkflow],
        activities=RedriveActivities(Redriver(client), api.services.storage).all(),
        workflow_runner=RUNNER,
    )
    order = {"owner": unique, "since": "1h", "rate": 100}
    async with api.as_owner(unique) as http, api.as_owner("root", Scope.ADMIN) as admin:
        assert (await http.post("/v1/redrives", json=order)).status_code == 403
        async with worker() as working, redrives:
            job = (await http.post("/v1/jobs", json=REFUSED)).json()["id"]
            await until(http, job, "failed")

            async def listed() -> bool:
                told = await admin.post("/v1/redrives", json={**order, "dry_run": True})
                begins = {"note: from the failed step, 2of2 notes.file": 1}
                return told.status_code == 200 and told.json()["begins"] == begins

            assert await eventually(listed)
            working.steps.mended = True
            begun = await admin.post("/v1/redrives", json=order)
            assert begun.status_code == 202
            await until(http, job, "completed")
            place = begun.headers["Location"]

            async def done() -> bool:
                return bool((await admin.get(place)).json()["state"] == "completed")

            assert await eventually(done)
        shown = (await admin.get(place)).json()
        assert (shown["counts"]["redriven"], shown["filter"]["owner"]) == (1, unique)


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({}, "/filter"),
        ({"state": "failed"}, "/filter"),
        ({"kind": "no-such"}, "/kind"),
        ({"kind": "email", "state": "running"}, "/state"),
        ({"kind": "email", "rate": -1}, "/rate"),
        ({"kind": "email", "tag": "x"}, "/tag"),
        ({"kind": "email", "since": "999999999w"}, "/since"),
    ],
)
async def test_a_redrive_that_is_wrong_is_refused_with_the_field(
    api: Api, order: dict[str, object], pointer: str
) -> None:
    async with api.as_owner("root", Scope.ADMIN) as http:
        answer = await http.post("/v1/redrives", json=order)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_the_page_offers_what_can_be_done_with_a_job(
    api: Api, worker: StartWorker, unique: str
) -> None:
    key = await api.key(unique)
    async with api.client(key) as http, worker() as working:
        job = (await http.post("/v1/jobs", json=REFUSED)).json()["id"]
        await until(http, job, "failed")
        async with api.client() as page:
            await page.post("/sign-in", data={"key": key})
            shown = await page.get(f"/jobs/{job}")
            assert buttons(shown) == ["retry"]
            told = (await http.get(f"/v1/jobs/{job}/explanation")).json()["text"]
            assert told.startswith("It failed at ")
            assert told in html.unescape(shown.text)
            assert (await page.get(f"/jobs/{job}/explanation")).text == told
            forged = await page.post(f"/jobs/{job}/retry", data={"csrf": "x"})
            assert forged.status_code == 403
            working.steps.mended = True
            csrf = re.findall(r'name="csrf" value="([^"]+)"', (await page.get("/")).text)[0]
            done = await page.post(f"/jobs/{job}/retry", data={"csrf": csrf})
            assert (done.status_code, done.headers["location"]) == (303, f"/jobs/{job}")
            await until(http, job, "completed")
            assert buttons(await page.get(f"/jobs/{job}")) == []
            refused = await page.post(f"/jobs/{job}/release", data={"csrf": csrf})
            assert "is+not+held" in refused.headers["location"]


def buttons(answer: httpx.Response) -> list[str]:
    """Return the acts that a job's page offers."""
    return re.findall(r'action="/jobs/[^/"]+/(\w+)"', answer.text)


async def test_the_page_shows_and_does_nothing_with_the_job_of_another(
    api: Api, unique: str
) -> None:
    async with api.as_owner("ada") as ada, api.client() as page:
        job = (await ada.post("/v1/jobs", json=NOTE)).json()["id"]
        await page.post("/sign-in", data={"key": await api.key(unique)})
        csrf = re.findall(r'name="csrf" value="([^"]+)"', (await page.get("/")).text)[0]
        for look in ("", "/events", "/explanation"):
            answers = [await page.get(f"/jobs/{of}{look}") for of in (job, "note-no-such")]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].content == answers[1].content
        for act in BUTTONS:
            answers = [
                await page.post(f"/jobs/{of}/{act}", data={"csrf": csrf})
                for of in (job, "note-no-such")
            ]
            told = [answer.headers.get("location", "").partition("?")[2] for answer in answers]
            assert told[0].replace(job, "note-no-such") == told[1] != ""
        assert (await ada.get(f"/v1/jobs/{job}")).json()["state"] == "waiting"


async def test_the_page_lists_those_that_are_held(
    api: Api, worker: StartWorker, unique: str
) -> None:
    key = await api.key(unique)
    async with api.client(key) as http, api.client() as page:
        await page.post("/sign-in", data={"key": key})
        held, other = [(await http.post("/v1/jobs", json=NOTE)).json()["id"] for _ in range(2)]
        await http.post(f"/v1/jobs/{held}/hold", json={"reason": "the price is wrong"})
        async with worker():
            await until(http, other, "completed")
            await until(http, held, "held")

            async def listed() -> str:
                rows = (await page.get("/rows?state=held")).text
                return rows if held in rows else ""

            assert other not in await eventually(listed)
            assert "the price is wrong" in (await page.get(f"/jobs/{held}")).text
