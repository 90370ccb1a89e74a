"""What jobs hold stays out of logs and messages: personal data and secrets are planted, and sought.

The name of a person stands for personal data, and one word for every secret. Both are put where
jobs of each kind take them, in jobs that go well and in jobs that fail.
"""

import json
from dataclasses import dataclass, field

import httpx
import pytest

from jobs.client import JobClient
from jobs.status import JobStatus
from tests.end_to_end.installation import PATIENCE_S, Installation
from tests.end_to_end.test_bad_input import run_all

PERSON, WORD = "zanzibarov", "hushhushhush"
ADDRESS = f"{PERSON}@example.com"
NO_RELAY = f"smtp://sender:{WORD}@127.0.0.1:9?tls=none"
SOURCES = {"shop": {"scheme": "github", "secrets": [WORD]}}

JOBS = (
    ("email", "template=welcome", f"to={ADDRESS}", f"data.name={PERSON}"),
    ("email", "template=password-reset", f"to={ADDRESS}", "request_id=r1", f"data.name={PERSON}"),
    ("reminder", f"to={ADDRESS}", f"message=Call {PERSON}", "send_at=2020-01-01T00:00:00Z",
     "if_past=send"),
    ("mailing", "template=newsletter", f'recipients:=["{ADDRESS}","{PERSON}+2@example.com"]',
     "data.title=News", 'data.paragraphs:=["What is new"]'),
    ("batch", "kind=email",
     f'items:=[{{"template":"welcome","to":"{ADDRESS}","data":{{"name":"{PERSON}"}}}}]'),
    ("event", "event_type=invoice.paid", f"payload.name={PERSON}", f"payload.key={WORD}"),
    ("import", "source=people.csv", "target=customers"),
    ("import", "source=people.csv", "target=customers", "on_error=stop"),
    ("import", "source=people.csv", "target=customers", "format=xlsx"),
    ("report", "type=sales", "start=2026-01-01", "end=2026-01-02", "formats:=[\"csv\"]",
     f'deliver_to:=["{ADDRESS}"]'),
    ("export", "query=customers", "format=csv"),
)  # fmt: skip
"""Inputs that are accepted; what becomes of the jobs differs."""

REFUSED = (
    ("email", "template=no-such", f"to={ADDRESS}", f"data.name={PERSON}"),
    ("email", "template=welcome", f"to={ADDRESS}", f"data.wrong={PERSON}"),
    ("email", "template=welcome", f"to={PERSON} at example.com"),
    ("email", "template=welcome", f"to={ADDRESS}", f"data:={json.dumps(PERSON)}"),
    ("email", "template=welcome", f"to:={json.dumps([ADDRESS])}"),
    ("mailing", "template=newsletter", f'recipients:=["{PERSON} at example.com"]'),
    ("report", "type=sales", "start=2026-01-01", "end=2026-01-02", f'deliver_to:=["{PERSON}"]'),
    ("event", "event_type=invoice.paid", f"payload:={json.dumps(PERSON)}"),
    ("reminder", f"to={PERSON}", "message=x", "send_at=2030-01-01T00:00:00Z"),
)
"""Inputs that are refused, with the reason."""

SETTLED = {"completed", "failed", "retrying", "held"}


@dataclass
class Told:
    """Everything that the system said, by where."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, text: str) -> None:
        self.texts[where] = self.texts.get(where, "") + text

    def leaks(self) -> list[str]:
        return [
            f"{where}: {line}"
            for where, text in self.texts.items()
            for line in text.splitlines()
            if PERSON in line.lower() or WORD in line.lower()
        ]


@pytest.fixture
def planted(installation: Installation) -> Installation:
    """An installation with secrets in its settings, and a file with personal data."""
    sources = installation.folder / "sources.json"
    sources.write_text(json.dumps(SOURCES))
    installation.variables = {
        **installation.variables,
        "CONVEYOR_SMTP_URL": NO_RELAY,
        "CONVEYOR_SECRET_KEY": WORD * 4,
        "CONVEYOR_WEBHOOK_SOURCES_FILE": str(sources),
    }
    storage = installation.folder / "data" / "storage"
    storage.mkdir(parents=True)
    rows = (f"c1,{ADDRESS},{PERSON},DE,2026-01-01T00:00:00Z", f"c2,{PERSON},{PERSON},{PERSON},x")
    (storage / "people.csv").write_text("\n".join(("id,email,name,country,created_at", *rows)))
    return installation


async def settled(jobs: JobClient, job_id: str) -> JobStatus:
    """Return a job when it has ended, or has failed for now."""
    async for job in jobs.watch(job_id):
        if job.state in SETTLED:
            break
    return await jobs.status(job_id, with_input=True)


async def test_no_log_and_no_message_tells_what_jobs_hold(planted: Installation) -> None:
    told = Told()
    jobs = JobClient(await planted.connect())
    accepted = [("submit", *fields, "--id", f"j{n}") for n, fields in enumerate(JOBS)]
    refused = [("submit", *fields) for fields in REFUSED]
    with planted.worker("--log-format", "json") as worker:
        _, *answers = run_all(planted, [("setup",), *accepted, *refused])
        for command, answer in zip([*accepted, *refused], answers, strict=True):
            assert answer.code == (0 if command in accepted else 2), (command, answer.err)
            told.add(" ".join(command), answer.err)
        for answer in answers[: len(JOBS)]:
            job = await settled(jobs, answer.out.strip())
            told.add(f"status of {job.id}", job.model_dump_json(exclude={"result"}))
            for line in [line async for line in jobs.logs(job.id)]:
                told.add(f"log of {job.id}", f"{line.text}\n")
        told.add("worker", worker.text())
    assert told.leaks() == []


def test_the_api_tells_nothing_in_its_log_or_its_problems(planted: Installation) -> None:
    told = Told()
    key = planted.run("keys", "create", "--owner", "ada").out.strip()
    with planted.api() as address, httpx.Client(base_url=address, timeout=PATIENCE_S) as http:
        bodies = [
            {"kind": "email", "input": {"template": "welcome", "to": f"{PERSON} at example.com"}},
            {"kind": "email", "input": {"template": "welcome", "to": ADDRESS, "data": PERSON}},
            {"kind": "email", "input": {"template": "welcome", "to": [ADDRESS]}},
            {"kind": "email", "input": PERSON},
        ]
        for body in bodies:
            answer = http.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 422, answer.text
            told.add(f"problem of {body}"[:40], answer.text)
        wrong = {"Authorization": f"Bearer {key[:-4]}aaaa"}
        told.add("wrong key", http.get("/v1/jobs", headers=wrong).text)
        unsigned = {
            "X-GitHub-Event": "push",
            "X-Hub-Signature-256": "sha256=" + "a" * 64,
            "X-GitHub-Delivery": "d1",
        }
        hook = http.post("/v1/hooks/shop", json={"name": PERSON, "key": WORD}, headers=unsigned)
        assert hook.status_code == 401
        told.add("hook", hook.text)
    log = (planted.folder / "api.log").read_text()
    told.add("api", log)
    assert told.leaks() == []
    assert key not in log
