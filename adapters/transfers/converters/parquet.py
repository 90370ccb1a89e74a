"""Turns a Parquet file into UTF-8 CSV: ``parquet.py SOURCE TARGET MARK``.

Prints the number of rows done now and then. Ends with 3 and one line on stderr if the file can't
be read, with 4 if pyarrow is not installed.
"""

import csv
import datetime
import decimal
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MEMORY_BYTES: Final = 3 * 1024 * 1024 * 1024
CPU_S: Final = 1800
MAX_COLUMNS: Final = 1000
MAX_GROUP_BYTES: Final = 512 * 1024 * 1024
MAX_BATCH_BYTES: Final = 64 * 1024 * 1024
BATCH_ROWS: Final = 4096

REFUSED: Final = 3
NOT_INSTALLED: Final = 4


class RefusedError(Exception):
    """The file can't be converted; the message says why."""


def main(source: str, target: str, mark: str) -> int:
    """Convert; returns the exit code."""
    with suppress(ValueError, OSError):  # a system without these limits
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # an extra, without types
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # as above
    except ImportError:
        sys.stderr.write("Parquet needs pyarrow: pip install pyarrow on the workers")
        return NOT_INSTALLED
    try:
        with pq.ParquetFile(source, memory_map=True) as file:
            check(pa, file)
            write(pa, file, Path(target), mark)
    except RefusedError as error:
        reason = str(error)
    except (pa.ArrowException, OSError, ValueError):
        reason = "the Parquet file is damaged or cut short"
    except MemoryError:
        reason = "the Parquet file needs too much memory: write it with smaller row groups"
    else:
        return 0
    sys.stderr.write(reason)
    return REFUSED


def check(pa: Any, file: Any) -> None:
    """Refuse a file whose footer promises too much, or columns that are no cells."""
    metadata, schema = file.metadata, file.schema_arrow
    if metadata.num_columns > MAX_COLUMNS:
        msg = f"the file has {metadata.num_columns:,} columns, {MAX_COLUMNS:,} are allowed"
        raise RefusedError(msg)
    for index in range(metadata.num_row_groups):
        if metadata.row_group(index).total_byte_size > MAX_GROUP_BYTES:
            msg = f"a row group unpacks to more than {MAX_GROUP_BYTES:,} bytes: make them smaller"
            raise RefusedError(msg)
    for field in schema:
        if pa.types.is_nested(field.type):
            msg = f"column {field.name[:80]!r} has lists or structures, not single values"
            raise RefusedError(msg)
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            msg = f"column {field.name[:80]!r} has bytes, not text"
            raise RefusedError(msg)


def write(pa: Any, file: Any, target: Path, mark: str) -> None:
    """Write the rows, batch by batch."""
    schema = file.schema_arrow
    spell = [speller(pa, field.type, mark) for field in schema]
    done = 0
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(schema.names)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            if batch.nbytes > MAX_BATCH_BYTES:
                msg = f"{BATCH_ROWS:,} rows have more than {MAX_BATCH_BYTES:,} bytes of values"
                raise RefusedError(msg)
            columns = [
                [("" if value is None else to_text(value)) for value in as_values(pa, column)]
                for column, to_text in zip(batch.columns, spell, strict=True)
            ]
            writer.writerows(zip(*columns, strict=True))
            done += batch.num_rows
            sys.stdout.write(f"{done}\n")
            sys.stdout.flush()


def as_values(pa: Any, column: Any) -> list[Any]:
    """Return Python values; instants finer than a microsecond are cut to one."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def speller(pa: Any, kind: Any, mark: str) -> Callable[[Any], str]:
    """Return how values of a column's type are written."""
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_floating(kind):
        return lambda value: (str(int(value)) if value.is_integer() else repr(value)).replace(
            ".", mark
        )
    if pa.types.is_decimal(kind):
        return lambda value: f"{decimal.Decimal(value):f}".replace(".", mark)
    if pa.types.is_temporal(kind):
        return lambda value: (
            value.isoformat()
            if isinstance(value, datetime.datetime | datetime.date | datetime.time)
            else str(value)
        )
    return str


def run(arguments: Sequence[str]) -> int:
    """Run on a command line."""
    source, target, mark = arguments
    return main(source, target, mark)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
