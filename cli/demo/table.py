"""The demo's table: drawn live on a terminal, a line for each end elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import output
from cli.demo.stage import Act
from jobs import wording
from jobs.status import JobStatus

COLUMNS: Final = ("JOB", "STATE", "ATTEMPTS", "TOOK", "RESULT")


@dataclass(slots=True)
class Row:
    """What is known of one act."""

    job: JobStatus | None = None
    outcome: str = ""
    failed: bool = False


class LiveTable:
    """One row per job: state, attempts, duration, and where the result lies."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._rows = {act.title: Row() for act in acts}
        self._console = output.console()
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=8)

    def show(self, act: Act, job: JobStatus) -> None:
        """Show where a job is."""
        self._rows[act.title].job = job

    def succeed(self, act: Act, where: str) -> None:
        """Show where a job's result lies."""
        self._end(act, where, failed=False)

    def fail(self, act: Act, why: str) -> None:
        """Show that a job came out otherwise than it should."""
        self._end(act, why, failed=True)

    def _end(self, act: Act, outcome: str, *, failed: bool) -> None:
        row = self._rows[act.title]
        row.outcome, row.failed = outcome, failed

    def _draw(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in COLUMNS:
            table.add_column(column, no_wrap=column != COLUMNS[-1], overflow="fold")
        for title, row in self._rows.items():
            table.add_row(title, *_cells(row))
        return table

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        else:
            rows = [(title, *map(str, _cells(row))) for title, row in self._rows.items()]
            output.print_rows(COLUMNS, rows)


def _cells(row: Row) -> tuple[Text, str, str, Text]:
    outcome = Text(row.outcome, style="red" if row.failed else "")
    if row.job is None:
        return Text("failed" if row.failed else "", style="red"), "", "", outcome
    state = str(row.job.state)
    shown = "unexpected" if row.failed else state
    percent = row.job.progress.percent
    if not row.job.state.final and percent is not None:
        outcome = Text(f"{percent:.0f} %  {row.job.progress.step}")
    took = ""
    if row.job.finished_at is not None:
        begun = row.job.started_at or row.job.created_at
        took = wording.duration((row.job.finished_at - begun).total_seconds())
    style = "red" if row.failed else output.STYLES.get(state, "")
    return Text(shown, style=style), str(row.job.attempts or ""), took, outcome
