"""Input and result of an import."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from pydantic import Field, field_validator

from jobs.base import Contract, StoredFile
from jobs.imports.targets import TARGETS
from jobs.periods import zone
from jobs.validation import nearest


class ImportFormat(StrEnum):
    """What a file to import can be."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    XLSX = "xlsx"
    PARQUET = "parquet"


class OnError(StrEnum):
    """What a bad row does."""

    SKIP = "skip"
    STOP = "stop"


class OnExtra(StrEnum):
    """What a column does that the target doesn't know."""

    REJECT = "reject"
    IGNORE = "ignore"


class Decimals(StrEnum):
    """The decimal mark; a mark for thousands is never read."""

    POINT = "."
    COMMA = ","


ENCODINGS: Final = (
    *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii"),
    *(f"cp{page}" for page in (437, 850, 852, 866, *range(1250, 1259))),
    *(f"iso-8859-{part}" for part in (1, 2, 5, 7, 9, 15)),
    *("koi8-r", "mac-roman", "shift_jis", "cp932", "euc-jp", "gb18030", "big5", "euc-kr"),
)
SPELLINGS: Final = {"utf8": "utf-8", "latin-1": "iso-8859-1", "latin1": "iso-8859-1"}

PROBE: Final = datetime(2026, 11, 23, 13, 45, 59, tzinfo=UTC)


class ImportData(Contract):
    """A file to import into a table, by upsert on the target's key."""

    source: StoredFile
    """Key of the file in storage."""
    target: str = Field(json_schema_extra={"enum": list(TARGETS)})
    """The table, one of ``starter.py imports targets``."""
    format: ImportFormat | None = None
    """Default: told by content and name, which must agree."""
    dry_run: bool = False
    """Read, check and count everything, write nothing but the rejects file."""
    on_error: OnError = OnError.SKIP
    """``stop``: the first bad row fails the job, and the chunk that holds it is not written."""
    max_errors: int = Field(default=1000, ge=0, le=1_000_000)
    """Bad rows allowed before the job fails."""
    mapping: dict[str, str] = Field(
        default_factory=dict, max_length=1000, examples=[{"E-Mail": "email"}]
    )
    """Column of the file to column of the target, where their names differ."""
    on_extra: OnExtra = OnExtra.REJECT
    """What columns do that the target doesn't know."""
    encoding: str | None = Field(default=None, json_schema_extra={"enum": list(ENCODINGS)})
    """Of a text file without a byte order mark. Default: UTF-8, and nothing is guessed."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, examples=[";"])
    """Default: the one of comma, semicolon, tab and bar that fits the header best."""
    decimal: Decimals = Decimals.POINT
    date_format: str | None = Field(default=None, max_length=64, examples=["%d.%m.%Y %H:%M"])
    """As in ``strftime``. Default: ISO 8601."""
    time_zone: str | None = Field(default=None, examples=["Europe/Berlin"])
    """IANA name of the zone of times that have no offset. Default: such rows are rejected."""
    formula_guard: bool = False
    """The file was exported with ``formula_guard``: take the leading ``'`` off again."""

    @field_validator("target")
    @classmethod
    def _known_target(cls, value: str) -> str:
        if value not in TARGETS:
            msg = f"no target {value!r}; {nearest(value, list(TARGETS))}"
            raise ValueError(msg)
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is None:
            return None
        name = value.lower()
        name = SPELLINGS.get(name, name)
        if name not in ENCODINGS:
            msg = f"no encoding {value!r}; {nearest(name, ENCODINGS)}"
            raise ValueError(msg)
        return name

    @field_validator("delimiter")
    @classmethod
    def _sound_delimiter(cls, value: str | None) -> str | None:
        if value in {'"', "\r", "\n", "\0", " "} or (value is not None and not value.isascii()):
            msg = "must be one ASCII character other than a quote, a space or a line end"
            raise ValueError(msg)
        return value

    @field_validator("date_format")
    @classmethod
    def _complete_date_format(cls, value: str | None) -> str | None:
        if value is None:
            return None
        fix = "write it as for strftime, with at least %Y, %m and %d: %d.%m.%Y %H:%M"
        try:
            read = datetime.strptime(PROBE.strftime(value), value)  # noqa: DTZ007 - only its day
        except ValueError:
            raise ValueError(fix) from None
        if read.date() != PROBE.date():
            raise ValueError(fix)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            zone(value)
        return value


class RejectsFile(Contract):
    """The rows that were not taken, each with its reason; mend it and import it again."""

    key: str
    name: str
    """For people: ``customers-rejects.csv``."""
    content_type: str = "text/csv; charset=utf-8"
    bytes: int
    sha256: str
    rows: int


class ImportResult(Contract):
    """What an import did; ``read`` is the sum of the next four."""

    read: int
    """Rows of the file."""
    inserted: int
    updated: int
    unchanged: int
    """Rows that the table had already, with the same values."""
    rejected: int
    rejects: RejectsFile | None = None
    """None if no row was rejected."""
    dry_run: bool
    source_sha256: str
    """Of the file that was read."""
