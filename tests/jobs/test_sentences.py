"""The sentences of ``explain``, each from the facts that lead to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.client.explaining import Reason
from jobs.client.explaining.facts import Act, Facts, Step
from jobs.client.explaining.sentences import explain
from jobs.client.queues import QueueStatus
from jobs.holds import Hold
from jobs.status import JobFailure, JobProgress, JobState, JobStatus

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
EARLIER = NOW - timedelta(minutes=5)
FAILED = JobFailure(type="Oops", message="it broke", retryable=True, attempt=2, at=EARLIER)
STEP = Step(name="send", place="1of2", since=EARLIER)
WAITS = replace(STEP, waits=True)
QUEUE = QueueStatus(name="emails", waiting=1, pollers=2, last_poll_at=NOW)
ACT = Act(at=EARLIER, author="ada", reason="look at it.")


def job(state: JobState, **more: Any) -> JobStatus:
    return JobStatus(
        id="email-1", kind="email", state=state, run_id="r", created_at=EARLIER, **more
    )


def queue(**more: Any) -> QueueStatus:
    return QUEUE.model_copy(update=more)


WAITING = job(JobState.WAITING, max_attempts=3)
RETRYING = job(JobState.RETRYING, error=FAILED, attempts=3, max_attempts=8)
RUNNING = job(JobState.RUNNING, attempts=1)
HELD = job(JobState.HELD)


@pytest.mark.parametrize(
    ("facts", "reason", "text"),
    [
        (
            {"job": job(JobState.SCHEDULED, scheduled_at=SOON)},
            Reason.DELAYED,
            "It is to begin at 2027-01-31 13:00:00 UTC.",
        ),
        (
            {"job": WAITING, "queue": queue(pollers=0, last_poll_at=None)},
            Reason.NO_WORKER,
            "No worker polls the queue 'emails'; none has within the last five minutes.",
        ),
        (
            {"job": WAITING, "queue": queue(last_poll_at=EARLIER)},
            Reason.NO_WORKER,
            "No worker polls the queue 'emails' since 2027-01-31 11:55:00 UTC.",
        ),
        (
            {"job": RUNNING, "queue": queue(last_poll_at=EARLIER)},
            Reason.NO_WORKER,
            "No worker polls the queue 'emails' since 2027-01-31 11:55:00 UTC.",
        ),
        (
            {"job": WAITING, "step": WAITS, "queue": queue(waiting=1)},
            Reason.NEXT,
            "It is next on the queue 'emails': the first free worker takes it.",
        ),
        ({"job": WAITING, "step": WAITS}, Reason.NEXT, "It is handed to a worker just now."),
        (
            {"job": WAITING, "step": WAITS, "queue": queue(waiting=1235)},
            Reason.QUEUE_BUSY,
            "It waits behind about 1,234 others on the queue 'emails', whose workers are busy.",
        ),
        (
            {"job": WAITING, "step": WAITS, "queue": queue(waiting=6, rate=1 / 6, reason="quota")},
            Reason.QUEUE_LIMITED,
            "It waits behind about 5 others on the queue 'emails', which is limited to 10/m "
            "because “quota”.",
        ),
        (
            {"job": WAITING, "step": WAITS, "queue": queue(rate=2.0)},
            Reason.QUEUE_LIMITED,
            "It is next on the queue 'emails', which is limited to 2/s.",
        ),
        (
            {
                "job": WAITING,
                "step": WAITS,
                "queue": queue(
                    paused=True, author="ada", reason="relay ill", since=EARLIER, until=SOON
                ),
            },
            Reason.QUEUE_PAUSED,
            "The queue 'emails' is paused since 2027-01-31 11:55:00 UTC by ada because "
            "“relay ill”, until 2027-01-31 13:00:00 UTC.",
        ),
        (
            {"job": RETRYING, "step": replace(WAITS, due=SOON)},
            Reason.RETRY_DUE,
            "Attempt 2 of 8 of its step 'send' (1 of 2) failed with Oops: it broke, the next is "
            "at 2027-01-31 13:00:00 UTC.",
        ),
        (
            {"job": RETRYING, "step": replace(WAITS, due=EARLIER), "queue": queue(waiting=3)},
            Reason.QUEUE_BUSY,
            "Attempt 2 of 8 of its step 'send' (1 of 2) failed with Oops: it broke. The next is "
            "due since 2027-01-31 11:55:00 UTC. It waits behind about 2 others on the queue "
            "'emails', whose workers are busy.",
        ),
        (
            {
                "job": job(
                    JobState.RUNNING,
                    attempts=2,
                    max_attempts=3,
                    started_at=EARLIER,
                    error=FAILED,
                    progress=JobProgress(done=1500, total=3000, unit="rows", percent=25),
                ),
                "step": STEP,
            },
            Reason.RUNNING,
            "Its step 'send' (1 of 2) runs since 2027-01-31 11:55:00 UTC: attempt 2 of 3, 1,500 "
            "of 3,000 rows, 25 % of the job, the attempt before failed with Oops: it broke.",
        ),
        ({"job": RUNNING}, Reason.BETWEEN_STEPS, "It is just between two steps."),
        (
            {"job": RUNNING, "timer": (SOON, "until the next round"), "before": FAILED},
            Reason.ROUND_DUE,
            "It waits until 2027-01-31 13:00:00 UTC (until the next round). The last attempt "
            "failed with Oops: it broke.",
        ),
        (
            {"job": RUNNING, "place": "waiting for a place: 1 of 1 taken by import-a"},
            Reason.WAITS_FOR_PLACE,
            "It is waiting for a place: 1 of 1 taken by import-a.",
        ),
        (
            {"job": RUNNING, "waits_for": ("email-2", "email-3", "email-4", "email-5")},
            Reason.WAITS_FOR_JOBS,
            "It waits for 4 jobs that it started: email-2, email-3, email-4 and 1 more.",
        ),
        (
            {"job": HELD, "hold": Hold(reason="look first", since=EARLIER), "deadline": SOON},
            Reason.HELD,
            "It is held since 2027-01-31 11:55:00 UTC because “look first”. Its deadline is "
            "2027-01-31 13:00:00 UTC, held or not.",
        ),
        (
            {
                "job": HELD,
                "hold": Hold(
                    reason="Full: no room. Make some.", since=EARLIER, error="Full", step="store"
                ),
            },
            Reason.HELD,
            "It is held since 2027-01-31 11:55:00 UTC: step 'store' failed with Full: no room. "
            "Make some.",
        ),
        (
            {"job": job(JobState.PAUSED), "paused": ACT},
            Reason.PAUSED,
            "It is paused in Temporal since 2027-01-31 11:55:00 UTC by ada because “look at it”.",
        ),
        (
            {"job": job(JobState.PAUSED), "step": replace(STEP, paused=ACT)},
            Reason.PAUSED,
            "Its step 'send' (1 of 2) is paused in Temporal since 2027-01-31 11:55:00 UTC by ada "
            "because “look at it”.",
        ),
        (
            {"job": RUNNING, "stuck": FAILED},
            Reason.STUCK,
            "Its workflow can't go on since 2027-01-31 11:55:00 UTC, 2 tries: Oops: it broke. It "
            "is tried again until a worker can.",
        ),
        (
            {"job": job(JobState.COMPLETED, finished_at=NOW)},
            Reason.COMPLETED,
            "It completed at 2027-01-31 12:00:00 UTC.",
        ),
        (
            {"job": job(JobState.COMPLETED, finished_at=NOW, result={"note": "not sent: no."})},
            Reason.COMPLETED,
            "It completed at 2027-01-31 12:00:00 UTC: not sent: no.",
        ),
        (
            {
                "job": job(
                    JobState.FAILED, finished_at=NOW, error=FAILED, attempts=3, max_attempts=3
                )
            },
            Reason.FAILED,
            "It failed at 2027-01-31 12:00:00 UTC at attempt 3 of 3 with Oops: it broke.",
        ),
        (
            {"job": job(JobState.CANCELLED, finished_at=NOW), "ended": replace(ACT, reason="")},
            Reason.CANCELLED,
            "It was cancelled at 2027-01-31 12:00:00 UTC by ada.",
        ),
        (
            {"job": job(JobState.TERMINATED, finished_at=NOW), "ended": ACT},
            Reason.TERMINATED,
            "It was terminated at 2027-01-31 12:00:00 UTC by ada because “look at it”.",
        ),
        (
            {"job": job(JobState.TIMED_OUT, finished_at=NOW), "before": FAILED},
            Reason.TIMED_OUT,
            "Its deadline passed at 2027-01-31 12:00:00 UTC before it was done. The last attempt "
            "failed with Oops: it broke.",
        ),
        (
            {
                "job": job(JobState.TIMED_OUT, finished_at=NOW),
                "hold": Hold(reason="look first", since=EARLIER),
            },
            Reason.TIMED_OUT,
            "Its deadline passed at 2027-01-31 12:00:00 UTC before it was done. It was held "
            "because “look first”.",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Reason) else "",
)
def test_a_job_is_explained_in_a_sentence(facts: dict[str, Any], reason: Reason, text: str) -> None:
    told = explain(Facts(now=NOW, **facts))
    assert (told.reason, told.text) == (reason, text)
    assert (told.id, told.state) == ("email-1", facts["job"].state)


def test_a_hold_that_waits_for_the_end_of_the_step_is_told_besides() -> None:
    told = explain(
        Facts(now=NOW, job=RUNNING, step=STEP, hold=Hold(reason="look first", since=NOW))
    )
    assert told.reason is Reason.RUNNING
    assert told.text.endswith("It will be held before its next step because “look first”.")


def test_every_reason_has_its_sentence() -> None:
    from_deliveries = {Reason.NOT_YET_DUE, Reason.ENDPOINT_WAITS}
    table = test_a_job_is_explained_in_a_sentence.pytestmark[0].args[1]
    assert {reason for _, reason, _ in table} | from_deliveries == set(Reason)
