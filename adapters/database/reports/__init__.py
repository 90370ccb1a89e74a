"""The figures of reports, out of the application database."""

from adapters.database.reports.querying import with_days
from adapters.database.reports.source import NO_AUTOMATIC_INDEX, ReportSource

__all__ = ["NO_AUTOMATIC_INDEX", "ReportSource", "with_days"]
