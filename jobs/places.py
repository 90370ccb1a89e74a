"""Places: how many jobs with one key work at once, over all workers.

A kind that asks for it names a key of its input (an account, a table, a tenant) and a limit. One
workflow per key hands out places, first come, first served. About five jobs a second and key, and
nine history events a job: right for what takes seconds, wrong for mails, which have slots and
limits of their queue.
"""

from datetime import timedelta
from typing import Final

from jobs.base import Contract

PLACES_WORKFLOW: Final = "KeepPlaces"
ASK: Final = "ask"
GIVE_BACK: Final = "give_back"
GIVEN: Final = "place_given"
TAKEN: Final = "places_taken"

LOOK_INTERVAL: Final = timedelta(seconds=30)
"""How often it is looked whether who has a place still lives: one that was terminated says not."""
ASK_AGAIN: Final = timedelta(minutes=5)
"""After this a waiting job asks again, in case its question was lost with who was asked."""

MEMO_PLACE: Final = "place"
"""Memo field of a job that waits for a place: in words, who has those there are."""


class Places(Contract):
    """The places of one key."""

    limit: int
    look_interval: timedelta = LOOK_INTERVAL
    holders: tuple[str, ...] = ()
    """Ids of jobs that have a place."""
    waiting: tuple[str, ...] = ()
    """Ids of jobs that want one, the first to get it first."""


class JobIds(Contract):
    """Ids of jobs."""

    ids: tuple[str, ...]


def places_id(kind: str, key: str) -> str:
    """Return the id of the workflow that hands out the places of a key."""
    return f"places-{kind}-{key}"


def taken_words(holders: tuple[str, ...], limit: int) -> str:
    """Tell why a job waits: ``waiting for a place: 1 of 1 taken by import-a``."""
    return f"waiting for a place: {len(holders)} of {limit} taken by {', '.join(holders)}"
