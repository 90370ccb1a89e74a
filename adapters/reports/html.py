"""Writes a report as one HTML file: style and chart inside, no script, nothing loaded."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError

from jobs.reports import DEFINITIONS, ReportUndefined

TEMPLATE: Final = "report.html"


def write_html(page: dict[str, Any]) -> bytes:
    """Return the page.

    Raises:
        ReportUndefined: the template is wrong.
    """
    try:
        return _template().render(page).encode()
    except TemplateError as error:
        raise ReportUndefined(f"{TEMPLATE}: {error}") from None


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(DEFINITIONS), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE)
