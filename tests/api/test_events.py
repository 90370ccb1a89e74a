"""Server-sent events: what comes, what resumes, and what a reader who leaves leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api
from tests.api.test_jobs import NOTE, until
from tests.jobs.conftest import StartWorker


async def events(http: httpx.AsyncClient, job_id: str, last: str = "") -> AsyncIterator[Any]:
    """Yield (name, data, id) of each event."""
    headers = {"Last-Event-ID": last} if last else {}
    async with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "data" in event:
                yield event["event"], json.loads(event["data"]), event["id"]
                event = {}


async def test_a_job_is_followed_to_its_end(api: Api, worker: StartWorker) -> None:
    async with api.as_owner("ada") as http, worker():
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        seen = [event async for event in events(http, job["id"])]
        states = [data["state"] for name, data, _ in seen if name == "state"]
        assert states[-1] == "completed"
        texts = [data["text"] for name, data, _ in seen if name == "log"]
        assert (texts[0], texts[-1]) == ("submitted", "completed")
        assert seen[-1][0] == "end"
        assert api.services.hub.watched == 0


async def test_a_reader_goes_on_after_the_last_line_it_has(api: Api, worker: StartWorker) -> None:
    async with api.as_owner("ada") as http, worker():
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        await until(http, job["id"], "completed")
        whole = [event async for event in events(http, job["id"])]
        logs = [event for event in whole if event[0] == "log"]
        rest = [event async for event in events(http, job["id"], logs[1][2])]
        assert [event for event in rest if event[0] == "log"] == logs[2:]
        end = {"Last-Event-ID": whole[-1][2]}
        assert (await http.get(f"/v1/jobs/{job['id']}/events", headers=end)).status_code == 204


async def until_readers(api: Api, count: int) -> None:
    while True:
        if api.services.hub.readers == count:
            return
        await asyncio.sleep(0.01)


async def test_many_readers_of_a_job_cost_one_look_at_a_time(api: Api) -> None:
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        leave = asyncio.Event()

        async def first() -> str:
            async for name, _, _ in events(http, job["id"]):
                await leave.wait()
                return str(name)
            return ""

        reading = asyncio.gather(*(first() for _ in range(20)))
        await until_readers(api, 20)
        assert api.services.hub.watched == 1
        leave.set()
        assert set(await reading) == {"state"}
    await until_readers(api, 0)
    assert api.services.hub.watched == 0


@dataclass
class Wire:
    """Tells which task has the Temporal server asked for a job."""

    call: Callable[..., Awaitable[Any]]
    looks: asyncio.Queue[asyncio.Task[Any] | None] = field(default_factory=asyncio.Queue)

    async def told(self, **request: Any) -> Any:
        if request["rpc"] == "describe_workflow_execution":
            self.looks.put_nowait(asyncio.current_task())
        return await self.call(**request)


async def test_whoever_watches_one_task_asks_the_server_and_ends_with_the_last_reader(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = api.services.jobs.temporal.service_client
    async with api.as_owner("ada") as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
        leave = asyncio.Event()

        async def watch() -> None:
            async for _ in events(http, job["id"]):
                await leave.wait()
                return

        reading = asyncio.gather(*(watch() for _ in range(20)))
        await until_readers(api, 20)
        wire = Wire(service._rpc_call)
        monkeypatch.setattr(service, "_rpc_call", wire.told)
        [asker] = {await wire.looks.get() for _ in range(3)}
        assert asker is not None
        leave.set()
        await reading
        await until_readers(api, 0)
        await asyncio.wait([asker])


async def test_a_reader_whose_connection_is_cut_leaves_nothing(api: Api) -> None:
    key = await api.key("ada")
    async with api.client(key) as http:
        job = (await http.post("/v1/jobs", json=NOTE)).json()
    address = httpx.URL(api.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    request = f"GET /v1/jobs/{job['id']}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
    writer.write(f"{request}\r\n\r\n".encode())
    await reader.readuntil(b"event: state")
    assert api.services.hub.readers == 1
    writer.transport.abort()
    await until_readers(api, 0)
    assert api.services.hub.watched == 0
