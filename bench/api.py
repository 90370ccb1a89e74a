"""What the HTTP API costs over the bare call to the server, and what its streams hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client

from adapters.database import Database, migrate
from adapters.database.access import ApiKeys
from bench.harness import Lab, Plan, Process, Row, cpu_s, gather_at_most, lab, medians, rss_mib
from jobs.access import ApiKey, Scope, Token, token_hash
from jobs.client import JobClient, connect, reading
from jobs.emails import EMAIL

NAME = "api"
TITLE = "The HTTP API over the bare calls to the server"

MAIL = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
CALLS = 200
AT_ONCE = 4
STREAMS = 500
WATCHED = 50
STREAMS_STAND_S = 15


async def run(plan: Plan) -> Sequence[Row]:
    """Measure submissions and looks in turns, then open the streams."""
    async with lab() as place:
        client = await connect(address=place.server.address)
        key = await make_key(place)
        with place.process(
            "-m", "api", "--port", "0", ready="serving at ", CONVEYOR_API_RATE="100000/s"
        ) as api:
            url = api.said.removeprefix("serving at ")
            limits = httpx.Limits(max_connections=STREAMS + AT_ONCE)
            async with httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, limits=limits, timeout=60
            ) as http:
                taken = [await one_round(client, http, api) for _ in range(plan.rounds + 1)][1:]
                held = await streams(client, http, api)
    middle = medians(taken)
    return [
        _over("POST /v1/jobs over start_workflow", middle, "post", "start", 3),
        _over("GET /v1/jobs/{id} over describe", middle, "get", "describe", 2),
        Row(name=f"{STREAMS} streams on {WATCHED} jobs", value=held, limit=150, unit="MiB"),
    ]


def _over(name: str, middle: dict[str, float], ours: str, bare: str, limit: float) -> Row:
    return Row(
        name=name,
        value=middle[ours] - middle[bare],
        limit=limit,
        unit="ms",
        detail=f"CPU {middle[ours]:.2f} ms, bare {middle[bare]:.2f} ms",
    )


async def make_key(place: Lab) -> str:
    """Make a key in the lab's database."""
    data = place.folder / "data"
    data.mkdir(exist_ok=True)
    url = f"sqlite:///{data / 'conveyor.db'}"
    await migrate(url)
    database = Database.open(url)
    token = Token.new()
    key = ApiKey(id=token.id, owner="ada", scopes=[Scope.WRITE], created_at=datetime.now(UTC))
    await ApiKeys(database).add(key, token_hash(token.text))
    await database.close()
    return token.text


async def one_round(client: Client, http: httpx.AsyncClient, api: Process) -> dict[str, float]:
    """Return the CPU milliseconds of each call: the API's process, and this one's for the bare."""
    mail = EMAIL.input.model_validate(MAIL)

    async def start() -> None:
        await client.start_workflow(
            EMAIL.workflow,
            mail,
            id=f"email-{uuid4()}",
            task_queue="nobody",
            execution_timeout=timedelta(hours=1),
        )

    async def post() -> None:
        answer = await http.post("/v1/jobs", json={"kind": "email", "input": MAIL})
        answer.raise_for_status()

    job = (await http.post("/v1/jobs", json={"kind": "email", "input": MAIL})).json()["id"]

    async def describe() -> None:
        await reading.describe(client, job)

    async def get() -> None:
        (await http.get(f"/v1/jobs/{job}")).raise_for_status()

    return {
        "start": await bare_ms(start),
        "post": await api_ms(api, post),
        "describe": await bare_ms(describe),
        "get": await api_ms(api, get),
    }


async def bare_ms(one: Callable[[], Awaitable[Any]]) -> float:
    """Return what a call costs this process."""
    before = time.process_time()
    await gather_at_most(CALLS, AT_ONCE, one)
    return (time.process_time() - before) * 1000 / CALLS


async def api_ms(api: Process, one: Callable[[], Awaitable[Any]]) -> float:
    """Return what a call costs the API."""
    before = cpu_s(api.pid)
    await gather_at_most(CALLS, AT_ONCE, one)
    return (cpu_s(api.pid) - before) * 1000 / CALLS


async def streams(client: Client, http: httpx.AsyncClient, api: Process) -> float:
    """Open the streams and return the memory of the API while they stand."""
    jobs = JobClient(client).of("ada")
    ids = [(await jobs.submit("email", MAIL)).id for _ in range(WATCHED)]
    async with AsyncExitStack() as stack:
        opened = await asyncio.gather(
            *(
                stack.enter_async_context(
                    http.stream("GET", f"/v1/jobs/{ids[number % WATCHED]}/events")
                )
                for number in range(STREAMS)
            )
        )
        for answer in opened:
            answer.raise_for_status()
        await asyncio.sleep(STREAMS_STAND_S)
        return rss_mib(api.pid)
