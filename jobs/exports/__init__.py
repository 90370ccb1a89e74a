"""Export jobs: the rows of a registered query as CSV, JSON lines, Parquet or XLSX in storage.

Queue ``transfers``. One step reads all rows in one snapshot of the database, in the order of their
key, and publishes the file when it is complete: the same rows give the same bytes under the same
key. Five attempts, each beginning anew, or with ``resume`` after the last finished part; eight
hours in all.
"""

from jobs.exports.contract import (
    CONTENT_TYPES,
    EXTENSIONS,
    PACKED_TYPES,
    Compression,
    Consistency,
    ExportData,
    ExportFile,
    ExportFormat,
    ExportResult,
)
from jobs.exports.errors import ExportSuperseded, ExportTooLarge, ExportUnsupported
from jobs.exports.kind import EXPORT, TIDY, WRITE
from jobs.exports.page import Page, Part, Stretch
from jobs.exports.queries import QUERIES, Column, Kind, Query

__all__ = [
    "CONTENT_TYPES",
    "EXPORT",
    "EXTENSIONS",
    "PACKED_TYPES",
    "QUERIES",
    "TIDY",
    "WRITE",
    "Column",
    "Compression",
    "Consistency",
    "ExportData",
    "ExportFile",
    "ExportFormat",
    "ExportResult",
    "ExportSuperseded",
    "ExportTooLarge",
    "ExportUnsupported",
    "Kind",
    "Page",
    "Part",
    "Query",
    "Stretch",
]
