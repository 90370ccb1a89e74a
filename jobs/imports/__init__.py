"""Import jobs: a CSV, TSV, JSON lines, XLSX or Parquet file into a table, by upsert.

Queue ``transfers``, two at once per worker. The steps: inspect the file; load it, chunk by chunk,
each in one transaction with its row in the ledger; write the rejects file. Five attempts a step,
each going on where the ledger ends; twelve hours in all. A failed or cancelled import goes on there
too when it is submitted again with the same id and the same file.
"""

from jobs.imports.contract import (
    Decimals,
    ImportData,
    ImportFormat,
    ImportResult,
    OnError,
    OnExtra,
    RejectsFile,
)
from jobs.imports.errors import (
    ImportHeaderInvalid,
    ImportRowRejected,
    ImportSourceChanged,
    ImportSourceInvalid,
    ImportSuperseded,
    ImportTooManyRejects,
)
from jobs.imports.kind import FINISH, IMPORT, INSPECT, LOAD, POSITION
from jobs.imports.plan import (
    Chunk,
    ImportPlan,
    ImportPosition,
    Layout,
    Meter,
    MeterStopped,
    Reject,
    Written,
)
from jobs.imports.targets import TARGETS, Expected, MinorUnits, Row, Target

__all__ = [
    "FINISH",
    "IMPORT",
    "INSPECT",
    "LOAD",
    "POSITION",
    "TARGETS",
    "Chunk",
    "Decimals",
    "Expected",
    "ImportData",
    "ImportFormat",
    "ImportHeaderInvalid",
    "ImportPlan",
    "ImportPosition",
    "ImportResult",
    "ImportRowRejected",
    "ImportSourceChanged",
    "ImportSourceInvalid",
    "ImportSuperseded",
    "ImportTooManyRejects",
    "Layout",
    "Meter",
    "MeterStopped",
    "MinorUnits",
    "OnError",
    "OnExtra",
    "Reject",
    "RejectsFile",
    "Row",
    "Target",
    "Written",
]
