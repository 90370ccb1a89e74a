"""Whatever is wrong is said in one clear message, with a true exit code, before anything starts."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.installation import PATIENCE_S, ROOT, Answer, Installation

WELCOME = ("template=welcome", "to=ada@example.com", "data.name=Ada")
IMAGE = ("source=uploads/x.jpg",)
RESIZE = json.dumps([{"type": "resize", "width": 8}])

WRONG_SUBMISSIONS = (
    (("emial", *WELCOME), "kind: no kind 'emial'; did you mean 'email'?"),
    (("email", "template=wellcome", *WELCOME[1:]), r"template: .*welcome"),
    (("email", *WELCOME, "datta.name=x"), "datta: no such field; did you mean 'data'?"),
    (("email", *WELCOME[:2], "data.nme=x"), "data.nme: "),
    (("email", *WELCOME[1:]), "template: is required"),
    (("email", "template=welcome", "to=nobody", "data.name=Ada"), "to: "),
    (("email", *WELCOME, "user_id=ada"), r"(to|user_id)"),
    (("email", *WELCOME, "expires_at=tomorrow"), "expires_at: "),
    (("email", *WELCOME, "--id", "a/b"), "id: 'a/b': use letters"),
    (("email", *WELCOME, "--priority", "9"), "priority: 9: use 1"),
    (("email", *WELCOME, "--delay", "soon"), "delay: 'soon': write a span"),
    (("email", *WELCOME, "--at", "2030-01-01"), "at: '2030-01-01': write a time with its offset"),
    (("email", *WELCOME, "--on-conflict", "maybe"), "on-conflict: 'maybe': use existing"),
    (("email", "template"), "'template': write FIELD=VALUE"),
    (("email", "data:={broken"), "data: is no JSON"),
    (("email", "--input", "missing.json"), "input: missing.json can't be read"),
    (("image", *IMAGE), r"operations"),
    (("image", *IMAGE, "operations:=[]"), r"operations"),
    (("image", *IMAGE, 'operations:=[{"type":"resize"}]'), r"operations\.0.*width"),
    (("image", *IMAGE, 'operations:=[{"type":"resize","widht":3}]'), "did you mean 'width'"),
    (("image", *IMAGE, 'operations:=[{"type":"shrink"}]'), r"operations\.0"),
    (("image", "source=../etc/passwd", f"operations:={RESIZE}"), "source: "),
    (("image", "source=@missing.jpg", f"operations:={RESIZE}"), "source: missing.jpg can't be"),
)

WRONG_COMMANDS = (
    (("status", "nope"), 3, "no job 'nope'"),
    (("logs", "nope"), 3, "no job 'nope'"),
    (("result", "nope"), 3, "no job 'nope'"),
    (("cancel", "nope"), 3, "no job 'nope'"),
    (("outbox", "show", "nope"), 3, "no mail 'nope'"),
    (("list", "--state", "runing"), 2, "no state 'runing'; did you mean 'running'?"),
    (("list", "--kind", "emails"), 2, "no kind 'emails'; did you mean 'email'?"),
    (("list", "--limit", "0"), 2, "limit: 0: use 1 to 1000"),
    (("list", "--tag", "x"), 2, "tag: 'x': write K=V"),
    (("list", "--since", "yesterday"), 2, "since: 'yesterday': write a"),
    (("list", "--cursor", "€"), 2, "cursor: use the next_cursor"),
    (("stats", "--by", "colour"), 2, "by: 'colour': use kind, state, error"),
    (("retry", "nope"), 3, "no job 'nope'"),
    (("terminate", "nope"), 3, "no job 'nope'"),
    (("delete", "nope"), 3, "no job 'nope'"),
    (("cancel",), 2, "filter: name at least one of"),
    (("cancel", "nope", "--kind", "email"), 2, "not both"),
    (("redrive", "--dry-run"), 2, "filter: name at least one of"),
    (("redrive", "--state", "failed", "-y"), 2, "filter: name at least one of"),
    (("redrive", "--kind", "emails", "-y"), 2, "did you mean 'email'?"),
    (("redrive", "--kind", "email", "--state", "running", "-y"), 2, "state: running: "),
    (("submit",), 2, "Missing argument"),
    (("frobnicate",), 2, "No such command"),
)

PROGRAMS = (("worker.py", "--check"), ("-m", "api", "--port", "0"))


def run_all(installation: Installation, commands: list[tuple[str, ...]]) -> list[Answer]:
    """Run many commands in one process, since each would take a second to start."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.commands"],
        cwd=ROOT,
        env=installation.environment({}),
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=True,
    )
    return [Answer(**answer) for answer in json.loads(done.stdout)]


def test_a_wrong_submission_names_the_field_and_starts_nothing(
    installation: Installation, unique: str
) -> None:
    tag = f"test={unique}"
    commands = [("submit", *words, "--tag", tag) for words, _ in WRONG_SUBMISSIONS]
    *answers, listed = run_all(installation, [*commands, ("list", "--tag", tag, "--json")])
    for answer, (words, told) in zip(answers, WRONG_SUBMISSIONS, strict=True):
        assert answer.code == 2, (words, answer)
        assert re.search(told, answer.err), (words, answer.err)
        assert "Traceback" not in answer.err
    assert listed.json()["jobs"] == []


def test_a_wrong_command_says_so(installation: Installation) -> None:
    answers = run_all(installation, [words for words, _, _ in WRONG_COMMANDS])
    for answer, (words, code, told) in zip(answers, WRONG_COMMANDS, strict=True):
        assert answer.code == code, (words, answer)
        assert told in " ".join(answer.err.split()), (words, answer.err)
        assert "Traceback" not in answer.err


def test_an_unreachable_server_is_named(installation: Installation) -> None:
    answer = installation.run("status", "x", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert answer.code == 6
    assert "no Temporal server answers at 127.0.0.1:1" in answer.err


def started(installation: Installation, *program: str, **variables: str) -> Answer:
    """Run a program that refuses to start."""
    done = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=installation.environment(variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def test_a_misspelt_setting_stops_the_worker(installation: Installation) -> None:
    answer = started(installation, "worker.py", "--check", CONVEYOR_SLOTSS="emails=5")
    assert answer.code == 2
    assert "CONVEYOR_SLOTSS: no such setting; did you mean CONVEYOR_SLOTS?" in answer.err


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_a_database_without_migrations_stops_a_program_with_the_fix(
    installation: Installation, program: tuple[str, ...]
) -> None:
    empty = f"sqlite:///{installation.folder / 'empty.db'}"
    answer = started(installation, *program, CONVEYOR_DATABASE_URL=empty)
    assert answer.code == 2
    assert "run `python starter.py setup`" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_a_database_of_a_newer_release_stops_a_program(
    installation: Installation, program: tuple[str, ...], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "conveyor.db")) as newer:
        newer.execute("CREATE TABLE alembic_version (version_num TEXT)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999_next')")
        newer.commit()
    answer = started(installation, *program, CONVEYOR_DATA_DIR=str(tmp_path))
    assert answer.code == 2
    assert "error: the database is at migration 9999_next" in answer.err
    assert "Traceback" not in answer.err


def test_a_port_that_is_taken_stops_the_api_with_the_fix(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = started(installation, "-m", "api", "--port", str(port))
    assert answer.code == 2
    assert answer.err == (
        f"error: port: {port} is taken: choose another by --port, or end what listens there\n"
    )


def test_an_address_of_another_machine_stops_the_api_with_the_fix(
    installation: Installation,
) -> None:
    elsewhere = "192.0.2.1"  # of no machine: for documentation
    answer = started(installation, "-m", "api", "--host", elsewhere, "--port", "0")
    assert answer.code == 2
    assert (
        answer.err
        == f"error: host: {elsewhere} is no address of this machine: give one by --host\n"
    )


@pytest.mark.parametrize("program", ["starter.py", "worker.py"])
def test_a_python_without_the_libraries_is_told_how_to_get_them(
    installation: Installation, program: str
) -> None:
    answer = started(installation, "-S", program)  # without the folder of installed packages
    assert answer.code == 1
    assert "run `make` once" in answer.err
    assert "Traceback" not in answer.err


def test_where_nothing_is_counted_that_is_said(installation: Installation, unique: str) -> None:
    told = {
        ("stats", "--owner", unique): "no jobs",
        ("stats", "--owner", unique, "--by", "error"): "no job has failed",
        ("redrive", "--owner", unique, "--kind", "email", "--dry-run"): "0 jobs would go on",
    }
    for answer, words in zip(run_all(installation, [*told]), told.values(), strict=True):
        assert (answer.code, answer.out, answer.err.strip()) == (0, "", words)


def test_health_names_the_migrations_that_are_missing(installation: Installation) -> None:
    empty = f"sqlite:///{installation.folder / 'empty.db'}"
    health = installation.run("health", "--json", CONVEYOR_DATABASE_URL=empty)
    told = {check["name"]: check["told"] for check in health.json() if not check["ok"]}
    assert health.code == 1
    assert re.fullmatch(r"\d+ migrations missing: starter.py setup", told["database"])


def test_a_conflict_shows_both_fingerprints(installation: Installation, unique: str) -> None:
    same = ("submit", "email", *WELCOME[:2])
    first, other = run_all(
        installation,
        [(*same, "data.name=Ada", "--id", unique), (*same, "data.name=Eve", "--id", unique)],
    )
    assert (first.code, other.code) == (0, 7)
    assert len(re.findall(r"\b[0-9a-f]{16}\b", other.err)) == 2


def test_an_act_that_the_state_of_a_job_forbids_changes_nothing(
    installation: Installation, unique: str
) -> None:
    email = ("submit", "email", *WELCOME)
    waiting, delayed = f"email-{unique}-1", f"email-{unique}-2"
    acts: tuple[tuple[tuple[str, ...], int, str], ...] = (
        ((*email, "--id", f"{unique}-1"), 0, ""),
        ((*email, "--id", f"{unique}-2", "--delay", "1h"), 0, ""),
        (("retry", waiting), 7, "is waiting: only one that failed"),
        (("retry", waiting, "--now"), 7, "is waiting: only one that failed"),
        (("retry", delayed), 7, "is scheduled: `promote` begins it now"),
        (("delete", waiting), 7, "cancel it, and delete it when it has ended"),
        (("release", waiting), 7, "is not held"),
        (("promote", waiting), 7, "only one that has not begun"),
        (("reschedule", delayed, "--at", "2020-01-01T00:00:00Z"), 2, "at: is past"),
        (("terminate", delayed, "--reason", "a mistake"), 0, "ended as terminated"),
        (("terminate", delayed), 7, "already ended"),
        (("retry", delayed), 0, "goes on from the beginning: no worker had taken it"),
        (("status", waiting, "--json"), 0, ""),
    )
    answers = run_all(installation, [words for words, _, _ in acts])
    for answer, (words, code, text) in zip(answers, acts, strict=True):
        assert answer.code == code, (words, answer)
        assert text in answer.err, (words, answer.err)
    assert answers[-1].json()["state"] == "waiting"


def test_a_wait_that_ends_too_early_says_that_the_job_goes_on(installation: Installation) -> None:
    answer = installation.run("submit", "email", *WELCOME, "--wait", "--timeout", "1s")
    assert answer.code == 8
    assert "it goes on" in answer.err


@pytest.mark.slow
def test_a_file_that_is_no_image_fails_the_job_at_the_first_attempt(
    installation: Installation, tmp_path: Path
) -> None:
    page = tmp_path / "page.jpg"
    page.write_text("<!doctype html><html></html>")
    with installation.worker():
        answer = installation.run(
            "submit", "image", f"source=@{page}", f"operations:={RESIZE}", "--wait", "--json"
        )
    job = answer.json()
    assert (answer.code, job["state"], job["attempts"]) == (4, "failed", 1)
    assert "HTML" in job["error"]["message"]


@pytest.mark.slow
def test_exit_codes_are_true_run_after_run(installation: Installation) -> None:
    runs = int(os.environ.get("TEST_EXIT_CODE_RUNS", "60"))
    job_id = installation.submit("email", *WELCOME)
    commands = (("status", job_id), ("status", "nope"), ("list", "--limit", "1"))
    with ThreadPoolExecutor(2) as pool:
        codes = list(
            pool.map(lambda number: installation.run(*commands[number % 3]).code, range(runs))
        )
    assert codes == [(0, 3, 0)[number % 3] for number in range(runs)]
