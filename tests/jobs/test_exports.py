"""The contract of exports."""

from typing import Any

import pytest

from jobs.errors import InvalidInputError
from jobs.exports import QUERIES, ExportData, Kind, Query
from jobs.imports import TARGETS
from jobs.validation import fingerprint, validate


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"query": "order"}, "query", "did you mean 'orders'?"),
        ({"parameters": {"statsu": 1}}, "parameters", "did you mean 'status'?"),
        ({"parameters": {"status": "sold"}}, "parameters", "status: Input should be"),
        ({"parameters": {"start": "2026-01-01"}}, "parameters", "start: "),
        ({"format": "xlsx", "compression": "zstd"}, "compression", "packed inside"),
        ({"format": "parquet", "resume": True}, "resume", "begins anew"),
    ],
)
def test_what_is_wrong_with_an_input_is_said_at_the_door(
    changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        validate(ExportData, {"query": "orders", **changes})
    assert [problem.field for problem in raised.value.problems] == [field]
    assert message in raised.value.problems[0].message


def test_two_spellings_of_a_parameter_are_one_job() -> None:
    first = ExportData(query="orders", parameters={"start": "2026-01-01T00:00:00Z"})
    second = ExportData(query="orders", parameters={"start": "2026-01-01T00:00:00+00:00"})
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize("query", QUERIES.values(), ids=lambda query: query.name)
def test_an_export_has_the_columns_that_an_import_takes(query: Query) -> None:
    names = [column.name for column in query.columns]
    assert set(names) == set(TARGETS[query.name].fields)
    assert query.key in names
    currencies = {column.currency for column in query.columns if column.kind is Kind.AMOUNT}
    assert currencies <= set(names)
