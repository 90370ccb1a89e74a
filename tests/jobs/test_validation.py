"""Input at the doors."""

import pytest

from jobs import validation
from jobs.base import MAX_INPUT_BYTES
from jobs.errors import InvalidInputError
from tests.jobs.notes import Note


def problems(data: dict[str, object]) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        validation.validate(Note, data)
    return [str(problem) for problem in caught.value.problems]


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    assert problems({"text": "x", "behav": "well"}) == [
        "behav: no such field; did you mean 'behave'?"
    ]


def test_an_unknown_field_in_a_list_is_named_by_its_path() -> None:
    assert problems({"text": "x", "lines": [{"txt": "y"}]}) == [
        "lines.0.txt: no such field; did you mean 'text'?"
    ]


def test_a_name_that_resembles_none_gets_the_list_of_fields() -> None:
    (told,) = problems({"text": "x", "zzz": 1})
    assert told == "zzz: no such field; known are: attachments, behave, lines, text, to"


def test_every_problem_is_told_at_once() -> None:
    assert problems({"behave": 3, "lines": [{"weight": "heavy"}]}) == [
        "text: is required",
        "behave: Input should be a valid string",
        "lines.0.weight: Input should be a valid integer, unable to parse string as an integer",
    ]


@pytest.mark.parametrize("key", ["../up", "/root", "a//b", "a/./b", "a b", ""])
def test_a_key_that_is_a_path_trick_is_refused(key: str) -> None:
    (told,) = problems({"text": "x", "attachments": [key]})
    assert told.startswith("attachments.0: ")


def test_an_input_that_is_too_large_is_refused_with_the_fix() -> None:
    (told,) = problems({"text": "x" * MAX_INPUT_BYTES})
    assert "put large data into storage" in told


def test_an_older_worker_ignores_a_field_of_a_newer_submitter() -> None:
    assert Note.model_validate({"text": "x", "new": 1}) == Note(text="x")


def test_equal_inputs_have_one_fingerprint_however_they_are_spelt() -> None:
    spelt = validation.validate(Note, {"lines": [], "text": "x", "behave": "well"})
    assert validation.fingerprint(spelt) == validation.fingerprint(Note(text="x"))
    assert validation.fingerprint(spelt) != validation.fingerprint(Note(text="y"))


def test_personal_data_are_shown_as_stars() -> None:
    shown = validation.redact(Note, {"text": "x", "to": "ada@example.com", "behave": "well"})
    assert shown == {"text": "x", "to": "***", "behave": "well"}
