"""What encryption costs: an email job with it over one without, and one payload by itself.

Two labs, each with a server and a worker of its own, take turns every few jobs; mails go to one
relay. CPU is of worker and client, where the codec runs; the history's size is the server's.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from temporalio.converter import DataConverter, WorkflowSerializationContext

from adapters.codec import open_codec
from bench.harness import ROOT, Lab, Plan, Row, cpu_s, gather_at_most, lab, mail_relay, medians
from bench.overhead import BUSY_AT_ONCE, BUSY_JOBS, BUSY_TURNS, MAIL, WARM_UP
from jobs.client import JobClient, connect, reading
from jobs.converter import data_converter
from jobs.encryption import new_key, parse_keys
from jobs.kinds import find
from jobs.validation import validate

NAME = "encryption"
TITLE = "An encrypted email job over a plain one"

PAYLOADS = 2000
KEY = new_key("bench")


@dataclass(frozen=True, slots=True)
class Contender:
    """A worker, and a client that submits to it."""

    worker: int
    jobs: JobClient

    async def job(self) -> None:
        """Submit a mail and wait for its end."""
        await self.jobs.wait((await self.jobs.submit("email", MAIL)).id)

    async def busy_ms(self) -> float:
        """Run some jobs at once; return the CPU per job of worker and client."""
        before = cpu_s(self.worker) + time.process_time()
        await gather_at_most(BUSY_JOBS, BUSY_AT_ONCE, self.job)
        return (cpu_s(self.worker) + time.process_time() - before) * 1000 / BUSY_JOBS

    async def history_bytes(self) -> float:
        """Return the size of the newest job's history."""
        (newest,) = (await self.jobs.list(limit=1)).jobs
        described = await reading.describe(self.jobs.temporal, newest.id)
        return described.workflow_execution_info.history_size_bytes


async def run(plan: Plan) -> Sequence[Row]:
    """Measure in so many interleaved rounds."""
    raw: dict[str, list[dict[str, float]]] = {"plain": [], "encrypted": []}
    async with AsyncExitStack() as stack:
        places = {name: await stack.enter_async_context(lab()) for name in raw}
        relay = stack.enter_context(mail_relay(places["plain"]))
        contenders = {
            name: await _open(stack, places[name], relay, KEY if name == "encrypted" else None)
            for name in raw
        }
        for contender in contenders.values():
            await gather_at_most(WARM_UP, BUSY_AT_ONCE, contender.job)
        for number in range(plan.rounds):
            spent = dict.fromkeys(raw, 0.0)
            for turn in range(BUSY_TURNS):
                order = list(raw) if (number + turn) % 2 else list(raw)[::-1]
                for name in order:
                    spent[name] += await contenders[name].busy_ms() / BUSY_TURNS
            for name, contender in contenders.items():
                codec = open_codec(parse_keys(KEY)) if name == "encrypted" else None
                raw[name].append(
                    {
                        "job": spent[name],
                        "history": await contender.history_bytes(),
                        "payload": await payload_us(data_converter(codec)),
                    }
                )
    return _rows(raw)


async def _open(stack: AsyncExitStack, place: Lab, relay: str, keys: str | None) -> Contender:
    encrypted = {"CONVEYOR_ENCRYPTION_KEYS": keys} if keys else {}
    worker = stack.enter_context(
        place.process(
            str(ROOT / "worker.py"),
            *("--queue", "emails"),
            ready="ready",
            CONVEYOR_SMTP_URL=relay,
            **encrypted,
        )
    )
    codec = open_codec(parse_keys(keys)) if keys else None
    client = await connect(address=place.server.address, codec=codec)
    return Contender(worker.pid, JobClient(client))


async def payload_us(converter: DataConverter) -> float:
    """Return the CPU of writing and reading the input of a mail once."""
    contract = find("email").input
    job = validate(contract, MAIL)
    context = WorkflowSerializationContext(namespace="default", workflow_id="email-bench")
    began = time.process_time()
    for _ in range(PAYLOADS):
        bound = converter.with_context(context)
        await bound.decode(await bound.encode([job]), [contract])
    return (time.process_time() - began) * 1e6 / PAYLOADS


def _rows(raw: dict[str, list[dict[str, float]]]) -> Sequence[Row]:
    plain, encrypted = medians(raw["plain"]), medians(raw["encrypted"])

    def row(part: str, title: str, unit: str, limit: float | None = None) -> Row:
        detail = f"{encrypted[part]:,.1f} {unit}, plain {plain[part]:,.1f} {unit}"
        numbers = {name: [entry[part] for entry in rounds] for name, rounds in raw.items()}
        ratio = encrypted[part] / plain[part]
        return Row(name=title, value=ratio, limit=limit, detail=detail, raw=numbers)

    return [
        row("job", "CPU of an encrypted email job, worker and client", "ms", limit=1.15),
        row("history", "size of its history", "bytes"),
        row("payload", "writing and reading one payload", "us"),
    ]
