"""Jobs from the command line, through a worker process, to what they make."""

import io
import json
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from PIL import Image

from jobs.status import JobState
from tests.end_to_end.installation import ROOT, Installation

pytestmark = pytest.mark.slow

PHOTO = ROOT / "examples" / "photo.jpg"
OPERATIONS = json.dumps(
    [
        {"type": "resize", "width": 800},
        {"type": "compress", "quality": 80},
        {"type": "watermark", "text": "© Ada"},
    ]
)


def test_a_mail_goes_from_the_command_line_into_the_outbox(installation: Installation) -> None:
    with installation.worker():
        answer = installation.run(
            "submit", "email", "template=welcome", "to=ada@example.com", "data.name=Ada", "--wait"
        )
    assert answer.code == 0, answer.err
    receipt = answer.json()
    assert receipt["delivery"] == "sent"
    name = receipt["message_id"].strip("<>").partition(".job@")[0]
    path = installation.folder / "data" / "outbox" / f"{name}.eml"
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert mail["To"] == "ada@example.com"
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Ada" in body.get_content()


def test_a_photo_is_uploaded_processed_and_fetched(installation: Installation) -> None:
    out = installation.folder / "out.jpg"
    with installation.worker():
        answer = installation.run(
            "submit", "image", f"source=@{PHOTO}", f"operations:={OPERATIONS}", "--watch", "--json"
        )
        assert answer.code == 0, answer.err
        assert installation.run("result", answer.json()["id"], "--out", str(out)).code == 0
    assert "completed" in answer.err.splitlines()[-1]
    with Image.open(io.BytesIO(out.read_bytes())) as picture:
        assert picture.format == "JPEG"
        assert picture.width == 800


def test_status_is_told_while_no_worker_lives(installation: Installation) -> None:
    job_id = installation.submit("email", "template=welcome", "to=ada@example.com", "data.name=Ada")
    job = installation.status(job_id)
    assert (job["state"], job["input"]["to"]) == ("waiting", "***")
    with installation.worker():
        installation.until(job_id, "completed")
    job = installation.status(job_id)
    assert (job["state"], job["result"]["delivery"]) == ("completed", "sent")


def test_a_bulk_file_is_answered_line_by_line_and_is_safe_to_repeat(
    installation: Installation, unique: str
) -> None:
    good = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
    bad = {**good, "to": "nobody"}
    lines = "\n".join(json.dumps(line) for line in (good, bad, good))
    first = installation.run("submit", "email", "--bulk", "-", "--id", unique, stdin=lines)
    answers = [json.loads(line) for line in first.out.splitlines()]
    assert first.code == 2
    assert [answer.get("created") for answer in answers] == [True, None, True]
    assert answers[1]["error"].startswith("to: ")
    again = installation.run("submit", "email", "--bulk", "-", "--id", unique, stdin=lines)
    assert [json.loads(line).get("created") for line in again.out.splitlines()] == [
        False,
        None,
        False,
    ]


def test_a_job_killed_in_the_middle_completes_without_redoing_finished_steps(
    installation: Installation, tmp_path: Path
) -> None:
    big = tmp_path / "big.jpg"
    with Image.open(PHOTO) as photo:
        photo.resize((4000, 3500)).save(big, quality=90)
    job_id = cut_in_the_middle(installation, big)
    with installation.worker():
        installation.until(job_id, "completed")
    lines = [
        json.loads(line) for line in installation.run("logs", job_id, "--jsonl").out.splitlines()
    ]
    completed = [line["step"] for line in lines if line["text"].startswith("completed after")]
    assert len(completed) == len(set(completed))


def cut_in_the_middle(installation: Installation, big: Path) -> str:
    """Kill a worker in the middle of a job, and return the job; a longer one, if need be."""
    for blurs in (3, 6, 18):
        blur = {"type": "blur", "radius": 20}
        operations = json.dumps([{"type": "resize", "width": 3900}, *[blur] * blurs])
        job_id = installation.submit("image", f"source=@{big}", f"operations:={operations}")
        with installation.worker() as worker:
            while installation.status(job_id)["progress"]["percent"] <= 75 / (blurs + 1):
                pass
            worker.kill()
        if not JobState(installation.status(job_id)["state"]).final:
            return job_id
    return pytest.fail("every job was done before its worker could be killed")
