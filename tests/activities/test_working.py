"""Work of a step that is cut."""

import asyncio

import pytest

from activities import working
from activities.working import cut


async def test_what_forgets_that_it_was_cancelled_is_cut_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(working, "CUT_AGAIN_S", 0.01)
    cancels = []

    async def forget_two() -> None:
        for number in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancels.append(number)
        raise asyncio.CancelledError

    forgetful, ended = asyncio.create_task(forget_two()), asyncio.create_task(asyncio.sleep(0))
    await ended
    await cut(forgetful, ended)
    assert forgetful.cancelled()
    assert cancels == [0, 1, 2]
