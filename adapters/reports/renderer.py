"""Renders the figures of a report in any of its formats, without touching the event loop.

The renderers are imported in the thread that first needs them: Matplotlib alone takes a second, and
a worker of other queues never draws.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.reports.data import write_csv, write_json
from adapters.reports.words import UNKNOWN, say, say_change
from jobs.figures import Figures, Kpi
from jobs.reports import ReportFormat


@dataclass(frozen=True, slots=True)
class ReportRenderer:
    """The renderers, with the name that stands on the page."""

    product_name: str

    async def render(self, figures: Figures, report_format: ReportFormat) -> bytes:
        """Return the file; the same figures give the same bytes.

        Raises:
            ReportUndefined: a template is wrong.
        """
        return await asyncio.to_thread(self._render, figures, report_format)

    async def chart(self, figures: Figures) -> bytes:
        """Return the report's chart as PNG."""
        return await asyncio.to_thread(_chart, figures)

    def summary(self, figures: Figures) -> Mapping[str, str]:
        """Return the key figures as people read them, by label, and with what they compare."""
        lines = {kpi.label: _line(kpi, figures) for kpi in figures.kpis}
        return lines | ({"Compared with": figures.compared.words} if figures.compared else {})

    def _render(self, figures: Figures, report_format: ReportFormat) -> bytes:
        from adapters.reports.html import write_html
        from adapters.reports.pdf import write_pdf
        from adapters.reports.view import view
        from adapters.reports.xlsx import write_xlsx

        match report_format:
            case ReportFormat.PDF:
                return write_pdf(figures, view(figures, self.product_name))
            case ReportFormat.HTML:
                return write_html(view(figures, self.product_name))
            case ReportFormat.XLSX:
                return write_xlsx(figures, self.product_name)
            case ReportFormat.CSV:
                return write_csv(figures)
            case ReportFormat.JSON:
                return write_json(figures)


def _chart(figures: Figures) -> bytes:
    from adapters.reports.charts import trend_png

    return trend_png(figures.trend, figures.currency)


def _line(kpi: Kpi, figures: Figures) -> str:
    value = say(kpi.value, kpi.kind, figures.currency)
    change = say_change(kpi) if figures.compared else UNKNOWN
    return value if change == UNKNOWN else f"{value} ({change})"
