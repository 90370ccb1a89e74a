"""Lets a peer's producer submit when it is told to: a line ``FIRST COUNT`` is so many mails.

It says ``ready`` when it may be told, and ``submitted`` when its broker has taken the jobs.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

AT_ONCE: Final = 20
"""Submissions of a producer that can have several on their way."""


def submit_as_told(submit: Callable[[int], object]) -> None:
    """Submit one after another, until nothing more is said."""
    print("ready", flush=True)
    for line in sys.stdin:
        for number in _numbers(line):
            submit(number)
        print("submitted", flush=True)


async def submit_at_once_as_told(submit: Callable[[int], Awaitable[object]]) -> None:
    """As ``submit_as_told``, several at once."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        numbers = _numbers(line)

        async def lane(numbers: Iterator[int] = numbers) -> None:
            for number in numbers:
                await submit(number)

        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
        print("submitted", flush=True)


def _numbers(line: str) -> Iterator[int]:
    first, count = map(int, line.split())
    return iter(range(first, first + count))
