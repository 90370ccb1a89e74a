"""Rows of text to checked chunks."""

from collections.abc import Generator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Final

from adapters.transfers.columns import BadCellsError, Cells, Column, Notation, Problems, column_of
from adapters.transfers.formulas import unguard
from adapters.transfers.text import Block, read_blocks
from jobs.imports import (
    TARGETS,
    Chunk,
    ImportPlan,
    ImportPosition,
    Reject,
)

SHOWN: Final = 100
"""Characters of a bad value that are kept apart from its row."""


def read_chunks(path: Path, plan: ImportPlan, position: ImportPosition) -> Generator[Chunk]:
    """Yield the chunks of the UTF-8 text at ``path`` from ``position`` on.

    Raises:
        ImportSourceInvalid: from some row on, the text can't be cut into rows.
    """
    checker = Checker(plan)
    byte = position.byte or plan.layout.body
    line = position.line if position.byte else plan.layout.first_line
    read = position.read
    blocks = read_blocks(path, plan.layout, plan.job, byte=byte, line=line)
    for number, block in enumerate(blocks, start=position.chunk):
        yield checker.check(block, number=number, first_row=read + 1)
        read += block.count


class Checker:
    """The rules of a target, for the columns that one file has."""

    def __init__(self, plan: ImportPlan) -> None:
        self._layout = plan.layout
        target = TARGETS[plan.job.target]
        notation = notation_of(plan)
        places = {name: place for place, name in enumerate(plan.layout.columns) if name is not None}
        self._columns: dict[int, Column] = {
            places[name]: column_of(name, field, notation)
            for name, field in target.fields.items()
            if name in places
        }

    def check(self, block: Block, *, number: int, first_row: int) -> Chunk:
        """Return the good rows of ``block`` as columns of the table, the others as rejects."""
        indexes = [index for index in range(block.count) if index not in block.faults]
        rejects = [
            Reject(
                row=first_row + index,
                line=fault.line,
                columns="",
                value=fault.cells[0][:SHOWN],
                reason=fault.reason,
                original=fault.cells,
            )
            for index, fault in block.faults.items()
        ]
        cells = self._by_column(block)
        values, problems = self._check_all(cells)
        if problems:
            for place in sorted(problems):
                row = [column[place] for column in block.cells]
                rejects.append(
                    self._reject(
                        first_row + indexes[place], block.lines[place], row, problems[place]
                    )
                )
            good = [place not in problems for place in range(len(block.lines))]
            kept = {name: list(compress(column, good)) for name, column in cells.items()}
            values, _ = self._check_all(kept)
        return Chunk(
            number=number,
            next_byte=block.next_byte,
            next_line=block.next_line,
            rows=block.count,
            columns=values,
            rejects=sorted(rejects, key=lambda reject: reject.row),
        )

    def _by_column(self, block: Block) -> dict[str, Cells]:
        cells: dict[str, Cells] = {
            column.name: block.cells[place] for place, column in self._columns.items()
        }
        if self._layout.guarded:
            cells = {name: unguard(column) for name, column in cells.items()}
        return cells

    def _check_all(
        self, cells: Mapping[str, Cells]
    ) -> tuple[dict[str, list[Any]], dict[int, dict[str, str]]]:
        """Return values by column of the table, and by row the reasons by field."""
        values: dict[str, list[Any]] = {}
        problems: dict[int, dict[str, str]] = {}
        for column in self._columns.values():
            if not cells[column.name]:
                values[column.stored_as] = []
                continue
            try:
                values[column.stored_as] = column.check(cells[column.name], cells)
            except BadCellsError as error:
                _gather(problems, column.name, error.problems)
        return values, problems

    def _reject(
        self, row: int, line: int, cells: Sequence[str], reasons: Mapping[str, str]
    ) -> Reject:
        places = {column.name: place for place, column in self._columns.items()}
        headers = {name: self._layout.headers[places[name]] for name in reasons}
        return Reject(
            row=row,
            line=line,
            columns="; ".join(headers.values()),
            value="; ".join(cells[places[name]][:SHOWN] for name in reasons),
            reason="; ".join(f"{headers[name]} {reason}" for name, reason in reasons.items()),
            original=cells,
        )


def notation_of(plan: ImportPlan) -> Notation:
    """Return how values are written in the text that is read."""
    job = plan.job
    return Notation(
        decimal=job.decimal,
        date_format=job.date_format,
        iso_too=plan.layout.typed,
        time_zone=job.time_zone,
    )


def _gather(problems: dict[int, dict[str, str]], name: str, reasons: Problems) -> None:
    for place, reason in reasons.items():
        problems.setdefault(place, {})[name] = reason
