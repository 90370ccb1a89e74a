"""Why no worker takes what could be taken: the queue's pause, its limit, others before it."""

from datetime import datetime, timedelta
from typing import Final

from jobs.client.explaining.facts import Act, Explanation, Facts, Reason, at, quoted, say
from jobs.limits import rate_words

LONGEST_POLL: Final = timedelta(seconds=75)
"""A worker asks anew at least once a minute, also while all its slots are busy."""


def in_line(facts: Facts, since: datetime | None) -> Explanation:
    """Say why no worker takes it, though it could be taken."""
    queue, reason, ahead = facts.queue, Reason.NEXT, 0
    if queue is None:
        return say(facts, reason, "It is handed to a worker just now.", since=since)
    author: str | None = None
    until: datetime | None = None
    ahead = max(queue.waiting - 1, 0)
    name, behind = repr(queue.name), f"It waits behind about {ahead:,} others on the queue"
    if queue.last_poll_at is None or queue.last_poll_at < facts.now - LONGEST_POLL:
        polled = queue.last_poll_at
        reason = Reason.NO_WORKER
        text = (
            f"No worker polls the queue {name} since {at(polled)}."
            if polled
            else f"No worker polls the queue {name}; none has within the last five minutes."
        )
        advice = f"start one: python worker.py --queue {queue.name}"
    elif queue.paused and facts.step is not None:
        reason, author, until = Reason.QUEUE_PAUSED, queue.author, queue.until
        act = Act(at=queue.since or facts.now, author=queue.author or "", reason=queue.reason or "")
        end = f", until {at(queue.until)}" if queue.until else ""
        text = f"The queue {name} is paused since {at(act.at)}{act.words}{end}."
        advice = f"starter.py resume {queue.name} ends the pause"
    elif queue.rate is not None and facts.step is not None:
        reason, author = Reason.QUEUE_LIMITED, queue.author
        why = f" because {quoted(queue.reason)}" if queue.reason else ""
        line = f"{behind} {name}" if ahead else f"It is next on the queue {name}"
        text = f"{line}, which is limited to {rate_words(queue.rate)}{why}."
        advice = f"starter.py limits set {queue.name} --rate RATE --reason R changes the limit"
    elif ahead:
        reason = Reason.QUEUE_BUSY
        text = f"{behind} {name}, whose workers are busy."
        advice = "another worker, or more slots, take it sooner"
    else:
        text, advice = f"It is next on the queue {name}: the first free worker takes it.", None
    return say(
        facts,
        reason,
        text,
        advice,
        since=since,
        until=until,
        author=author,
        queue=queue.name,
        ahead=ahead,
    )
