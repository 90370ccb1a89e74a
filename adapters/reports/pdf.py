"""Writes a report as PDF: ``templates/reports/report.typ`` filled with its view, by typst."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import typst

from adapters.reports.charts import FONTS
from jobs.figures import Figures
from jobs.reports import DEFINITIONS, ReportUndefined

TEMPLATE: Final = DEFINITIONS / "report.typ"


def write_pdf(figures: Figures, page: dict[str, Any]) -> bytes:
    """Return the PDF; the same figures and typst version give the same bytes.

    Its dates are the period's end, never now.

    Raises:
        ReportUndefined: the template is wrong.
    """
    last = figures.period.end
    try:
        return typst.compile(
            str(TEMPLATE),
            root=str(TEMPLATE.parent),
            font_paths=[str(FONTS)],
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(page, ensure_ascii=False)},
            timestamp=int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()),
        )
    except typst.TypstError as error:
        raise ReportUndefined(f"report.typ: {error}") from None
