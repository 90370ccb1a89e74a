"""``starter.py imports`` and ``starter.py exports``: what there is, without a server."""

import json

from typer.testing import CliRunner

from cli.app import app
from jobs.exports import QUERIES
from jobs.imports import TARGETS


def test_targets_are_listed_with_the_columns_of_a_file() -> None:
    answer = CliRunner().invoke(app, ["imports", "targets", "customers"])
    assert answer.exit_code == 0
    rows = [line.split("\t") for line in answer.output.splitlines()]
    assert [row[1] for row in rows] == list(TARGETS["customers"].fields)
    assert rows[0][2] == "key"
    assert rows[1][4] == "address such as ada@example.com"


def test_targets_as_json_are_one_document() -> None:
    answer = CliRunner().invoke(app, ["imports", "targets", "--json"])
    shown = json.loads(answer.output)
    assert [target["name"] for target in shown] == list(TARGETS)


def test_queries_are_listed_with_their_parameters() -> None:
    answer = CliRunner().invoke(app, ["exports", "queries"])
    rows = {line.split("\t")[0]: line.split("\t")[2] for line in answer.output.splitlines()}
    assert list(rows) == list(QUERIES)
    assert rows["orders"] == "start, end, status, country, currency"
