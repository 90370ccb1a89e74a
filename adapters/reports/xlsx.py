"""Writes a report as a workbook: real numbers, dates and percents, frozen headers, no formulas.

Memory stays flat (``constant_memory``: rows are written in order and flushed). A text that begins
like a formula is a text all the same.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from adapters.reports.view import is_figure, say_instant
from jobs.figures import Column, Figures, Kind, Table
from jobs.money import SYMBOLS, digits

FONT: Final = "Calibri"
HEADER: Final = {"bold": True, "bottom": 1, "font_color": "#17202C", "text_wrap": True}
TOTAL: Final = {"bold": True, "top": 1}
SHEET_NAME_MAX: Final = 31
NOT_IN_SHEET_NAMES: Final = str.maketrans(dict.fromkeys("[]:*?/\\", " "))
LABEL_WIDTH: Final = 30
FIGURE_WIDTH: Final = 16


def write_xlsx(figures: Figures, product_name: str) -> bytes:
    """Return the workbook; the same figures give the same bytes."""
    target = BytesIO()
    options = {
        "constant_memory": True,
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd",
    }
    with Workbook(target, options) as book:
        last = figures.period.end
        book.set_properties(
            {
                "title": f"{figures.title}, {figures.period.words}",
                "author": product_name,
                "created": datetime(last.year, last.month, last.day, tzinfo=UTC).replace(
                    tzinfo=None  # the library writes what it gets as UTC
                ),
            }
        )
        writer = _Writer(book, figures.currency)
        writer.summary(figures)
        for table in (figures.daily, *figures.tables):
            writer.table(table)
    return target.getvalue()


class _Writer:
    """Writes the sheets of one workbook."""

    def __init__(self, book: Workbook, currency: str | None) -> None:
        self._book = book
        self._currency = currency
        self._formats: dict[tuple[Kind, str], Format] = {}

    def summary(self, figures: Figures) -> None:
        """Write the key figures, and what the report counts."""
        sheet = self._book.add_worksheet("Summary")
        sheet.set_column(0, 0, LABEL_WIDTH)
        sheet.set_column(1, 3, FIGURE_WIDTH + 6)
        title = self._book.add_format({"bold": True, "font_size": 16})
        bold = self._book.add_format(HEADER)
        rows = iter(range(1_000))
        sheet.write_string(next(rows), 0, figures.title, title)
        sheet.write_string(next(rows), 0, figures.period.words)
        row = next(rows) + 1
        next(rows)
        for column, text in enumerate(("Key figure", "Value", "Period before", "Change")):
            sheet.write_string(row, column, text, bold)
        for kpi in figures.kpis:
            row = next(rows)
            sheet.write_string(row, 0, kpi.label)
            self._cell(sheet, row, 1, kpi.value or "", kpi.kind)
            self._cell(sheet, row, 2, kpi.before or "", kpi.kind)
            self._cell(sheet, row, 3, kpi.change or "", Kind.SHARE)
        next(rows)
        facts = [
            ("Period", f"{figures.period.start} to {figures.period.end}, both included"),
            ("Time zone", figures.time_zone),
            ("Compared with", figures.compared.words if figures.compared else "nothing"),
            ("Currency", figures.currency or "none"),
            ("Records counted", f"{figures.rows_read:,} {figures.records}"),
            ("Data up to", say_instant(figures.data_as_of, figures.time_zone)),
            *figures.definitions,
            *(("Note", note) for note in figures.notes),
        ]
        if figures.empty:
            facts.insert(0, ("No data", f"No {figures.records} in this period."))
        for label, text in facts:
            row = next(rows)
            sheet.write_string(row, 0, label)
            sheet.write_string(row, 1, text)

    def table(self, table: Table) -> None:
        """Write one table on a sheet of its own, its header frozen."""
        name = table.title.translate(NOT_IN_SHEET_NAMES)[:SHEET_NAME_MAX]
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(table.columns):
            sheet.set_column(index, index, FIGURE_WIDTH if is_figure(column) else LABEL_WIDTH)
        self._header(sheet, table.columns)
        for row, cells in enumerate(table.rows, start=1):
            for index, (cell, column) in enumerate(zip(cells, table.columns, strict=True)):
                self._cell(sheet, row, index, cell, column.kind)
        if table.total:
            row = len(table.rows) + 1
            for index, (cell, column) in enumerate(zip(table.total, table.columns, strict=True)):
                kind = column.kind if is_figure(column) else Kind.TEXT
                self._cell(sheet, row, index, cell, kind, style="total")

    def _header(self, sheet: Worksheet, columns: tuple[Column, ...]) -> None:
        for index, column in enumerate(columns):
            align = {"align": "right" if is_figure(column) else "left"}
            sheet.write_string(0, index, column.label, self._book.add_format({**HEADER, **align}))

    def _cell(
        self, sheet: Worksheet, row: int, column: int, text: str, kind: Kind, *, style: str = ""
    ) -> None:
        form = self._format(kind, style)
        if not text:
            sheet.write_blank(row, column, None, form)
        elif kind is Kind.TEXT:
            sheet.write_string(row, column, text, form)
        elif kind is Kind.DATE:
            sheet.write_datetime(row, column, _at_midnight(text), form)
        else:
            sheet.write_number(row, column, Decimal(text), form)

    def _format(self, kind: Kind, style: str) -> Format:
        if (kind, style) not in self._formats:
            look: dict[str, Any] = {**(TOTAL if style else {}), "num_format": self._code(kind)}
            if kind is Kind.DATE:
                look["align"] = "left"
            self._formats[kind, style] = self._book.add_format(look)
        return self._formats[kind, style]

    def _code(self, kind: Kind) -> str:
        match kind:
            case Kind.MONEY:
                places = digits(self._currency)
                number = "#,##0" + ("." + "0" * places if places else "")
                symbol = SYMBOLS.get(self._currency or "")
                if symbol:
                    return f'"{symbol}"{number}'
                return f'{number} "{self._currency}"' if self._currency else number
            case Kind.SHARE:
                return "0.0%"
            case Kind.COUNT:
                return "#,##0"
            case Kind.DATE:
                return "yyyy-mm-dd"
            case Kind.TEXT:
                return "@"


def _at_midnight(text: str) -> datetime:
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001  a cell's date has no zone
