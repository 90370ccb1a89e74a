"""What fuzzing once found, and what hypothesis splices from it, harms no door."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.doors import DOORS

CORPUS = Path(__file__).parent / "corpus"


def corpus(door: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((CORPUS / door).iterdir())]


@pytest.mark.parametrize("door", DOORS)
def test_a_door_takes_all_of_its_corpus(door: str) -> None:
    kept = corpus(door)
    assert kept
    for data in kept:
        DOORS[door](data)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_takes_what_is_spliced_from_its_corpus(door: str) -> None:
    kept = corpus(door)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        before=st.sampled_from(kept),
        at=st.integers(0, 4096),
        inserted=st.binary(max_size=64),
        after=st.sampled_from(kept),
    )
    def spliced(before: bytes, at: int, inserted: bytes, after: bytes) -> None:
        DOORS[door](before[:at] + inserted + after[at:])

    spliced()
