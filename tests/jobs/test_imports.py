"""The contract of imports, and the registry of targets."""

from typing import Any, Self

import pytest
from pydantic import field_validator

from jobs.errors import InvalidInputError
from jobs.imports import TARGETS, ImportData, Row, Target
from jobs.validation import validate


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"target": "custmers"}, "target", "did you mean 'customers'?"),
        ({"format": "xls"}, "format", "Input should be 'csv'"),
        ({"encoding": "utf-9"}, "encoding", "did you mean 'utf-8'?"),
        ({"delimiter": '"'}, "delimiter", "other than a quote"),
        ({"delimiter": ";;"}, "delimiter", "at most 1 character"),
        ({"decimal": "'"}, "decimal", "'.' or ','"),
        ({"date_format": "%d.%m."}, "date_format", "at least %Y, %m and %d"),
        ({"date_format": "%Q"}, "date_format", "at least %Y, %m and %d"),
        ({"time_zone": "Europe/Berlin2"}, "time_zone", "no IANA time zone"),
        ({"max_errors": -1}, "max_errors", "greater than or equal to 0"),
        ({"source": "../x"}, "source", "no empty, '.' or '..' part"),
        ({"maping": {}}, "maping", "did you mean 'mapping'?"),
    ],
)
def test_what_is_wrong_with_an_input_is_said_at_the_door(
    changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        validate(ImportData, {"source": "c.csv", "target": "customers", **changes})
    (problem,) = raised.value.problems
    assert problem.field == field
    assert message in problem.message


@pytest.mark.parametrize("spelling", ["UTF-8", "utf8", "Latin1", "latin-1", "CP1252"])
def test_encodings_are_known_by_their_usual_spellings(spelling: str) -> None:
    job = ImportData(source="c.csv", target="customers", encoding=spelling)
    assert job.encoding in {"utf-8", "iso-8859-1", "cp1252"}


def test_a_row_model_with_validators_of_its_own_is_refused() -> None:
    class Checked(Row):
        id: str

        @field_validator("id")
        @classmethod
        def _check(cls: type[Self], value: str) -> str:
            return value

    with pytest.raises(TypeError, match="put them into the annotations"):
        Target(name="checked", row=Checked, key="id")


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_key_of_a_target_is_a_column_that_every_file_has(target: Target) -> None:
    assert target.key in target.required
