"""Explain, hold and release on the command line, with no worker."""

from tests.end_to_end.installation import Installation
from tests.end_to_end.test_bad_input import run_all

WELCOME = ("template=welcome", "to=ada@example.com", "data.name=Ada")


def test_holding_answers_with_words_and_exit_codes(installation: Installation) -> None:
    tag = ("--tag", f"test={installation.folder.name}")
    job_id = installation.submit("email", *WELCOME, *tag, "--delay", "1h")
    answers = run_all(
        installation,
        [
            ("explain", job_id),
            ("release", job_id),
            ("hold", job_id),
            ("hold", job_id, "--reason", "look at it first"),
            ("hold", job_id, "email-nope", "--reason", "again"),
            ("explain", job_id, "--json"),
            ("release", job_id, "--kind", "email"),
            ("release", job_id),
            ("release",),
            ("release", "--kind", "emial", "--dry-run"),
            ("release", "--error", "NoSuchError", *tag),
            ("explain", "email-nope"),
            ("terminate", job_id, "--reason", "by mistake"),
            ("hold", job_id, "--reason", "too late"),
        ],
    )
    assert [answer.code for answer in answers] == [0, 7, 2, 0, 7, 0, 2, 0, 2, 2, 0, 3, 0, 7]
    said = [answer.err for answer in answers]
    assert answers[0].out.startswith("It is to begin at 2")
    assert said[0].startswith(f"-> starter.py promote {job_id} begins it now")
    assert f"error: job {job_id!r} is not held: it is scheduled" in said[1]
    assert "Missing option '--reason'" in said[2]
    assert said[3] == f"{job_id}: will be held before its next step\n"
    assert "is held already: look at it first" in said[4]
    assert "no job 'email-nope'" in said[4]
    told = answers[5].json()
    assert (told["id"], told["reason"], told["state"]) == (job_id, "delayed", "scheduled")
    assert told["text"].endswith("before its next step because “look at it first”.")
    assert "name jobs or a filter, not both" in said[6]
    assert said[7] == f"{job_id}: released\n"
    assert "filter: name at least one of kind, error, owner, tag and since" in said[8]
    assert "did you mean 'email'?" in said[9]
    assert said[10] == "no such job is held\n"
    assert "has already ended: it is terminated" in said[13]
