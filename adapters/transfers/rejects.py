"""The rejects file: the rows that were not taken, to be mended and imported again.

UTF-8 CSV with a byte order mark, so that every program and our own importer read it right whatever
encoding the job states. Each line is one row as it was, after four columns that say what is wrong
with it; an import passes those over. Cells that a spreadsheet would run get a ``'``, which the
importer takes off.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from adapters.transfers.detection import REJECT_COLUMNS
from adapters.transfers.formulas import guard
from jobs.imports import ImportPlan, Reject


class RejectsWriter:
    """Writes one rejects file."""

    def __init__(self, path: Path, plan: ImportPlan) -> None:
        headers = plan.layout.headers
        self._ours = {
            place for place, name in enumerate(headers) if name.strip().casefold() in REJECT_COLUMNS
        }
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file, delimiter=plan.layout.delimiter or ",")
        self._writer.writerow([*REJECT_COLUMNS, *self._without_ours(headers)])

    def write(self, rejects: Iterable[Reject]) -> None:
        """Add ``rejects``."""
        self._writer.writerows(
            guard(
                [
                    str(reject.row),
                    reject.columns,
                    reject.value,
                    reject.reason,
                    *self._without_ours(reject.original),
                ]
            )
            for reject in rejects
        )

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _without_ours(self, cells: Iterable[str]) -> list[str]:
        return [cell for place, cell in enumerate(cells) if place not in self._ours]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
