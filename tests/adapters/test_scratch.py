"""The worker's local folder, where its disk is full."""

import errno
from pathlib import Path

import pytest

from adapters.imaging.scratch import Scratch
from jobs.files import StorageFull


def test_a_full_disk_below_a_room_is_told_as_what_holds_the_job(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="Make room"), Scratch(tmp_path).room() as room:
        raise OSError(errno.ENOSPC, "No space left on device", str(room))
    assert not room.exists()


def test_another_failure_below_a_room_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), Scratch(tmp_path).room():
        raise PermissionError(errno.EACCES, "Permission denied")
