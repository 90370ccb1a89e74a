"""The sentences of ``explain``: pure words over what is known of a job.

Each says why the job is where it is, with the instants and names that somebody needs who wants to
do something about it; what that is stands in the advice.
"""

from collections.abc import Callable, Mapping
from typing import Final

from jobs.client.explaining.facts import (
    Explanation,
    Facts,
    Reason,
    Step,
    at,
    named,
    quoted,
    say,
    sentence,
)
from jobs.client.explaining.queueing import in_line
from jobs.status import JobFailure, JobState, JobStatus

NAMED: Final = 3
"""So many jobs that are waited for are named."""


def explain(facts: Facts) -> Explanation:
    """Say why a job is where it is."""
    told = _told(facts)
    job = facts.job
    more = {
        "id": job.id,
        "state": job.state,
        "deadline": None if job.state.final else facts.deadline,
        "attempt": job.attempts or None,
        "max_attempts": job.max_attempts,
    }
    if facts.hold is not None and job.state not in {JobState.HELD, *_FINAL}:
        more["text"] = (
            f"{told.text} It will be held before its next step because {quoted(facts.hold.reason)}."
        )
    return told.model_copy(update=more)


def _told(facts: Facts) -> Explanation:
    state = facts.job.state
    if state in _FINAL:
        return _FINAL[state](facts)
    if state is JobState.PAUSED:
        return _paused(facts)
    if facts.stuck is not None:
        return _stuck(facts, facts.stuck)
    if state is JobState.HELD:
        return _held(facts)
    if state is JobState.SCHEDULED:
        return _delayed(facts)
    if facts.step is not None:
        return _at_step(facts, facts.step)
    if state is JobState.WAITING:
        return in_line(facts, facts.job.scheduled_at or facts.job.created_at)
    return _between_steps(facts)


def _delayed(facts: Facts) -> Explanation:
    job = facts.job
    return say(
        facts,
        Reason.DELAYED,
        f"It is to begin at {at(job.scheduled_at)}.",
        f"starter.py promote {job.id} begins it now, reschedule {job.id} --at WHEN at another time",
        since=job.created_at,
        until=job.scheduled_at,
    )


def _at_step(facts: Facts, step: Step) -> Explanation:
    job = facts.job
    if not step.waits:
        return _running(facts, step)
    if job.error is None:
        return in_line(facts, step.since)
    match job.error.type:
        case "NotYetDue":
            return _not_yet_due(facts, step)
        case "EndpointWaiting":
            return _endpoint_waits(facts, job.error, step)
        case _:
            return _retrying(facts, job.error, step)


def _running(facts: Facts, step: Step) -> Explanation:
    job, progress = facts.job, facts.job.progress
    parts = [f"attempt {job.attempts}" + (f" of {job.max_attempts}" if job.max_attempts else "")]
    if progress.done:
        of = f" of {progress.total:,}" if progress.total else ""
        parts.append(f"{progress.done:,}{of} {progress.unit}".rstrip())
    if progress.percent is not None:
        parts.append(f"{progress.percent:g} % of the job")
    if job.error is not None:
        parts.append(f"the attempt before failed with {named(job.error)}")
    since = job.started_at or step.since
    text = f"Its {step.words} runs since {at(since)}: {', '.join(parts)}."
    return say(facts, Reason.RUNNING, text, since=since, error=job.error)


def _retrying(facts: Facts, error: JobFailure, step: Step) -> Explanation:
    job = facts.job
    of = f" of {job.max_attempts}" if job.max_attempts else ""
    failed = f"Attempt {error.attempt}{of} of its {step.words} failed with {named(error)}"
    if step.due is None or step.due <= facts.now:
        line = in_line(facts, step.due or step.since)
        text = f"{failed}. The next is due since {at(step.due or step.since)}. {line.text}"
        return line.model_copy(update={"text": text, "error": error})
    return say(
        facts,
        Reason.RETRY_DUE,
        f"{failed}, the next is at {at(step.due)}.",
        f"starter.py retry {job.id} --now makes it at once",
        since=error.at,
        until=step.due,
        error=error,
    )


def _not_yet_due(facts: Facts, step: Step) -> Explanation:
    number, _, count = step.place.partition("of")
    before = f" The one before failed: {facts.before.message}." if facts.before else ""
    return say(
        facts,
        Reason.NOT_YET_DUE,
        f"Attempt {number} of {count} is at {at(step.due)} by the endpoint's schedule.{before}",
        f"starter.py retry {facts.job.id} --now makes it at once",
        until=step.due,
        error=facts.before,
    )


def _endpoint_waits(facts: Facts, error: JobFailure, step: Step) -> Explanation:
    return say(
        facts,
        Reason.ENDPOINT_WAITS,
        f"The endpoint takes no attempt now ({error.message}): it is asked again at "
        f"{at(step.due)}.",
        f"starter.py retry {facts.job.id} --now makes the attempt at once; "
        "starter.py endpoints list shows how the endpoint does",
        until=step.due,
        error=error,
    )


def _between_steps(facts: Facts) -> Explanation:
    if facts.place:
        return say(facts, Reason.WAITS_FOR_PLACE, sentence(f"It is {facts.place}"))
    if facts.timer is not None:
        until, summary = facts.timer
        before = f" The last attempt failed with {named(facts.before)}." if facts.before else ""
        text = f"It waits until {at(until)}{f' ({summary})' if summary else ''}.{before}"
        return say(facts, Reason.ROUND_DUE, text, until=until, error=facts.before)
    if facts.waits_for:
        count = len(facts.waits_for)
        more = f" and {count - NAMED:,} more" if count > NAMED else ""
        names = ", ".join(facts.waits_for[:NAMED]) + more
        jobs = "a job" if count == 1 else f"{count:,} jobs"
        text = f"It waits for {jobs} that it started: {names}."
        return say(facts, Reason.WAITS_FOR_JOBS, text, f"starter.py explain {facts.waits_for[0]}")
    queue = facts.queue
    if queue is not None and in_line(facts, None).reason is Reason.NO_WORKER:
        return in_line(facts, None)
    return say(facts, Reason.BETWEEN_STEPS, "It is just between two steps.")


def _held(facts: Facts) -> Explanation:
    job, hold = facts.job, facts.hold
    if hold is None:
        return say(facts, Reason.HELD, "It is held.", f"starter.py release {job.id}")
    deadline = f" Its deadline is {at(facts.deadline)}, held or not." if facts.deadline else ""
    if hold.error is None:
        text = f"It is held since {at(hold.since)} because {quoted(hold.reason)}.{deadline}"
        advice = f"starter.py release {job.id} lets it go on"
    else:
        text = (
            f"It is held since {at(hold.since)}: step {hold.step!r} failed with "
            f"{sentence(hold.reason)}{deadline}"
        )
        advice = (
            f"mend that, then starter.py release {job.id}, or all that it holds: "
            f"starter.py release --error {hold.error}"
        )
    return say(facts, Reason.HELD, text, advice, since=hold.since, error=job.error)


def _paused(facts: Facts) -> Explanation:
    job, step = facts.job, facts.step
    if facts.paused is not None:
        text = f"It is paused in Temporal since {at(facts.paused.at)}{facts.paused.words}."
        advice = f"temporal workflow unpause --workflow-id {job.id}"
        act = facts.paused
    elif step is not None and step.paused is not None:
        act = step.paused
        text = f"Its {step.words} is paused in Temporal since {at(act.at)}{act.words}."
        advice = (
            f"temporal activity unpause --workflow-id {job.id}"
            f" --activity-id {step.place or step.name}"
        )
    else:
        return say(facts, Reason.PAUSED, "It is paused in Temporal.")
    return say(
        facts, Reason.PAUSED, text, advice, since=act.at, author=act.author or None, error=job.error
    )


def _stuck(facts: Facts, error: JobFailure) -> Explanation:
    return say(
        facts,
        Reason.STUCK,
        f"Its workflow can't go on since {at(error.at)}, {error.attempt} tries: "
        f"{sentence(f'{error.type}: {error.message}')} It is tried again until a worker can.",
        "deploy a worker whose code can go on with it; nothing of the job is lost",
        since=error.at,
        error=error,
    )


def _completed(facts: Facts) -> Explanation:
    job = facts.job
    note = str((job.result or {}).get("note") or "")
    text = f"It completed at {at(job.finished_at)}{f': {sentence(note)}' if note else '.'}"
    return say(facts, Reason.COMPLETED, text, f"starter.py result {job.id}", since=job.finished_at)


def _failed(facts: Facts) -> Explanation:
    job, error = facts.job, facts.job.error
    tries = f" of {job.max_attempts}" if job.max_attempts else ""
    attempt = f" at attempt {job.attempts}{tries}" if job.attempts else ""
    why = sentence(f"{error.type}: {error.message}") if error else "an unknown error."
    text = f"It failed at {at(job.finished_at)}{attempt} with {why}"
    return say(facts, Reason.FAILED, text, _again(job), since=job.finished_at, error=error)


def _timed_out(facts: Facts) -> Explanation:
    job = facts.job
    if facts.hold is not None:
        last = f" It was held because {quoted(facts.hold.reason)}."
    else:
        last = f" The last attempt failed with {named(facts.before)}." if facts.before else ""
    text = f"Its deadline passed at {at(job.finished_at)} before it was done.{last}"
    return say(facts, Reason.TIMED_OUT, text, _again(job), since=job.finished_at, error=job.error)


def _cancelled(facts: Facts) -> Explanation:
    job, act = facts.job, facts.ended
    text = f"It was cancelled at {at(job.finished_at)}{act.words if act else ''}."
    author = act.author if act else None
    return say(
        facts, Reason.CANCELLED, text, _again(job), since=job.finished_at, author=author or None
    )


def _terminated(facts: Facts) -> Explanation:
    job, act = facts.job, facts.ended
    text = f"It was terminated at {at(job.finished_at)}{act.words if act else ''}."
    author = act.author if act else None
    return say(
        facts, Reason.TERMINATED, text, _again(job), since=job.finished_at, author=author or None
    )


_FINAL: Final[Mapping[JobState, Callable[[Facts], Explanation]]] = {
    JobState.COMPLETED: _completed,
    JobState.FAILED: _failed,
    JobState.CANCELLED: _cancelled,
    JobState.TERMINATED: _terminated,
    JobState.TIMED_OUT: _timed_out,
}


def _again(job: JobStatus) -> str:
    return f"starter.py retry {job.id} goes on from the step that it had come to"
