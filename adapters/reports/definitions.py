"""Reads a report's definition: ``<type>.sql``, its queries, and ``<type>.toml``, its layout."""

import re
import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.figures import Better, Kind
from jobs.reports import DEFINITIONS, ReportUndefined

REQUIRED: Final = ("newest", "daily")
QUERY_HEAD: Final = re.compile(r"^--\s*query:\s*(\w+)\s*$", re.MULTILINE)


class Part(BaseModel):
    """A piece of a layout; a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(Part):
    """A figure that a query gives under the name ``key``."""

    key: str
    label: str
    kind: Kind


class KeyFigure(Measure):
    """A tile: the sum of a daily figure, a figure of ``totals``, or the quotient of two."""

    value: str | None = None
    """Name of the figure. Default: ``key``."""
    per: str | None = None
    """Divide by this figure."""
    better: Better = Better.UP


class TrendLayout(Part):
    """The chart: a daily figure."""

    value: str
    title: str
    kind: Kind


class TableLayout(Part):
    """A table of one query, whose first column is named ``label``."""

    query: str
    title: str
    label: str
    columns: tuple[Measure, ...]
    share: str | None = None
    """Adds a column with each row's part of the period's sum of this figure."""

    @model_validator(mode="after")
    def _share_of_a_column(self) -> Self:
        if self.share and self.share not in {column.key for column in self.columns}:
            msg = f"'share' names {self.share!r}, which is no column of the table"
            raise ValueError(msg)
        return self


class Definition(Part):
    """One report."""

    title: str
    description: str
    records: str
    """What the rows of ``daily`` count, in the plural."""
    money: bool = False
    """Whether there are amounts; then the query ``currencies`` is needed."""
    kpis: tuple[KeyFigure, ...] = Field(min_length=1, max_length=8)
    trend: TrendLayout
    daily: tuple[Measure, ...] = Field(min_length=1)
    tables: tuple[TableLayout, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)
    queries: dict[str, str]


def load(name: str, folder: Path = DEFINITIONS) -> Definition:
    """Return the definition of the report ``name``.

    Raises:
        ReportUndefined: a file is missing or wrong; says which, where and what.
    """
    try:
        queries = split_queries((folder / f"{name}.sql").read_text(encoding="utf-8"))
        layout = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
        definition = Definition.model_validate({**layout, "queries": queries})
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise ReportUndefined(f"report {name!r} has no file {missing}") from None
    except tomllib.TOMLDecodeError as error:
        raise ReportUndefined(f"{name}.toml: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReportUndefined(f"{name}.toml: {place}: {first['msg']}") from None
    _check_queries(name, definition)
    return definition


def split_queries(text: str) -> dict[str, str]:
    """Return the queries of a file by the names in their ``-- query: name`` lines."""
    _, *pieces = QUERY_HEAD.split(text)
    return {
        name: body.strip().rstrip(";") for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def _check_queries(name: str, definition: Definition) -> None:
    needed = [*REQUIRED, *(table.query for table in definition.tables)]
    if definition.money:
        needed.append("currencies")
    if missing := [query for query in needed if query not in definition.queries]:
        raise ReportUndefined(f"{name}.sql has no '-- query: {missing[0]}'")
