"""Input and result of an export."""

from enum import StrEnum
from typing import Any, Final

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from jobs.base import Contract
from jobs.exports.queries import QUERIES
from jobs.validation import nearest


class ExportFormat(StrEnum):
    """What an export can be written as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    XLSX = "xlsx"


class Compression(StrEnum):
    """How a text file is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Consistency(StrEnum):
    """Of what moment the rows are."""

    SNAPSHOT = "snapshot"
    """All of one moment."""
    PARTS = "parts"
    """The export was resumed: parts of several moments, each row once."""


TEXT_FORMATS: Final = (ExportFormat.CSV, ExportFormat.JSONL)
CONTENT_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
PACKED_TYPES: Final = {Compression.GZIP: "application/gzip", Compression.ZSTD: "application/zstd"}
EXTENSIONS: Final = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}


class ExportData(Contract):
    """Rows to write into a file in storage."""

    query: str = Field(json_schema_extra={"enum": list(QUERIES)})
    """Which rows, one of ``starter.py exports queries``."""
    parameters: dict[str, Any] = Field(
        default_factory=dict, validate_default=True, examples=[{"country": "DE"}]
    )
    """The query's parameters; ``starter.py exports queries`` lists them."""
    format: ExportFormat = ExportFormat.CSV
    compression: Compression = Field(default=Compression.NONE, validate_default=True)
    """Of a CSV or JSON lines file."""
    formula_guard: bool = True
    """In CSV and XLSX, put a ``'`` before text that a spreadsheet would run as a formula; an import
    with ``formula_guard`` takes it off again."""
    resume: bool = Field(default=False, validate_default=True)
    """After a crash go on after the last finished part, in place of beginning anew. The rows are
    then of several moments, and the result says so. For CSV and JSON lines."""

    @field_validator("query")
    @classmethod
    def _known_query(cls, value: str) -> str:
        if value not in QUERIES:
            msg = f"no query {value!r}; {nearest(value, list(QUERIES))}"
            raise ValueError(msg)
        return value

    @field_validator("parameters")
    @classmethod
    def _fitting_parameters(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        query = QUERIES.get(info.data.get("query", ""))
        if query is None:
            return value
        try:
            read = query.parameters.model_validate(value, extra="forbid")
        except ValidationError as error:
            known = list(query.parameters.model_fields)
            details = error.errors(include_url=False, include_input=False)
            problems = [
                f"{detail['loc'][0]}: "
                + (
                    f"no such parameter; {nearest(str(detail['loc'][0]), known)}"
                    if detail["type"] == "extra_forbidden"
                    else detail["msg"]
                )
                for detail in details
            ]
            raise ValueError("; ".join(problems)) from None
        return read.model_dump(mode="json", exclude_none=True)

    @field_validator("compression")
    @classmethod
    def _only_text_is_packed(cls, value: Compression, info: ValidationInfo) -> Compression:
        kind = info.data.get("format", ExportFormat.CSV)
        if value is not Compression.NONE and kind not in TEXT_FORMATS:
            msg = f"{kind} is packed inside: leave it out"
            raise ValueError(msg)
        return value

    @field_validator("resume")
    @classmethod
    def _only_text_is_resumed(cls, value: bool, info: ValidationInfo) -> bool:
        kind = info.data.get("format", ExportFormat.CSV)
        if value and kind not in TEXT_FORMATS:
            msg = f"a {kind} file can't be put together from parts: it begins anew"
            raise ValueError(msg)
        return value


class ExportFile(Contract):
    """The file that an export made."""

    key: str
    name: str
    """For people: ``orders.csv.gz``."""
    content_type: str
    bytes: int
    sha256: str


class ExportResult(Contract):
    """What an export made."""

    file: ExportFile
    rows: int
    consistency: Consistency
