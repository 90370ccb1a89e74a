"""The ledger of imports, and the rows they write.

A chunk's row in the ledger is written in the same transaction as its rows, so both are there or
neither; its primary key lets one attempt write it. An import goes on where its ledger ends.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.shop import customers, orders, products
from adapters.database.transfers.tables import import_chunks, import_rejects, imports
from adapters.database.transfers.upserts import upsert
from jobs.imports import (
    TARGETS,
    Chunk,
    ImportPosition,
    ImportSuperseded,
    Reject,
    Written,
)

TABLES: Final = {"customers": customers, "orders": orders, "products": products}
"""The table of each target."""

LOADING: Final = "loading"
FINISHED: Final = "finished"
PAGE_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Imports:
    """Imports in the application database."""

    database: Database

    async def begin(
        self, *, job_id: str, run_id: str, fingerprint: str, at: datetime
    ) -> ImportPosition:
        """Return where to go on: the unfinished import of that job and fingerprint, or a new one.

        Repeating it returns the same import.
        """
        async with self.database.begin() as connection:
            found = (
                await connection.execute(select(imports).where(imports.c.job_id == job_id))
            ).first()
            if found is not None:
                same = found.fingerprint == fingerprint and found.state == LOADING
                if found.id == run_id or same:
                    return await _position(connection, found.id)
                await _delete(connection, job_id)
            await connection.execute(
                self.database.insert(imports).on_conflict_do_nothing(),
                {
                    "id": run_id,
                    "job_id": job_id,
                    "fingerprint": fingerprint,
                    "state": LOADING,
                    "begun_at": to_micros(at),
                },
            )
            return await _position(connection, run_id)

    async def position(self, job_id: str) -> ImportPosition | None:
        """Return how far the job's import is, None if it has not begun."""
        async with self.database.snapshot() as connection:
            import_id = (
                await connection.execute(select(imports.c.id).where(imports.c.job_id == job_id))
            ).scalar()
            return None if import_id is None else await _position(connection, import_id)

    async def write(
        self,
        import_id: str,
        target: str,
        chunk: Chunk,
        *,
        dry_run: bool = False,
        likely_new: bool = False,
    ) -> Written:
        """Write a chunk and its row in the ledger in one transaction; with ``dry_run`` no rows.

        ``likely_new`` is a guess that no key of the chunk is in the table, which saves time.

        Raises:
            ImportSuperseded: another attempt has written the chunk, or the import is over.
        """
        table, key = TABLES[target], TARGETS[target].key
        async with self.database.begin() as connection:
            await self._claim(connection, import_id, chunk)
            trial = await connection.begin_nested() if dry_run else None
            written = await upsert(connection, table, key, chunk.columns, likely_new=likely_new)
            if trial is not None:
                await trial.rollback()
            ours = import_chunks.c.import_id == import_id, import_chunks.c.chunk == chunk.number
            await connection.execute(update(import_chunks).where(*ours).values(asdict(written)))
            if chunk.rejects:
                await connection.execute(
                    self.database.insert(import_rejects),
                    [_stored(import_id, reject) for reject in chunk.rejects],
                )
        return written

    async def _claim(self, connection: AsyncConnection, import_id: str, chunk: Chunk) -> None:
        values = {
            "chunk": chunk.number,
            "next_byte": chunk.next_byte,
            "next_line": chunk.next_line,
            "read": chunk.rows,
            "inserted": 0,
            "updated": 0,
            "unchanged": 0,
            "rejected": len(chunk.rejects),
        }
        source = select(
            imports.c.id,
            *(literal(value, import_chunks.c[name].type) for name, value in values.items()),
        ).where(imports.c.id == import_id, imports.c.state == LOADING)
        claim = self.database.insert(import_chunks).from_select(["import_id", *values], source)
        claimed = await connection.execute(claim.on_conflict_do_nothing())
        if claimed.rowcount != 1:
            msg = f"another attempt has written chunk {chunk.number}, or begun the import anew"
            raise ImportSuperseded(msg)

    async def rejects(self, import_id: str) -> AsyncIterator[Sequence[Reject]]:
        """Yield the rejects of an import in the order of the file, page by page."""
        last = 0
        page = (
            select(import_rejects)
            .where(
                import_rejects.c.import_id == import_id, import_rejects.c.row > bindparam("last")
            )
            .order_by(import_rejects.c.row)
            .limit(PAGE_ROWS)
        )
        while True:
            async with self.database.snapshot() as connection:
                rows = (await connection.execute(page, {"last": last})).all()
            if not rows:
                return
            last = rows[-1].row
            yield [
                Reject(
                    row=row.row,
                    line=row.line,
                    columns=row.columns,
                    value=row.value,
                    reason=row.reason,
                    original=json.loads(row.original),
                )
                for row in rows
            ]

    async def finish(self, import_id: str) -> None:
        """End an import: a later one of the same job begins anew. Repeating it changes nothing."""
        async with self.database.begin() as connection:
            await connection.execute(
                update(imports).where(imports.c.id == import_id).values(state=FINISHED)
            )

    async def size(self, job_id: str) -> int:
        """Return how many rows ``forget`` would delete."""
        ids = select(imports.c.id).where(imports.c.job_id == job_id)
        counted = [select(func.count()).where(imports.c.job_id == job_id)] + [
            select(func.count()).where(table.c.import_id.in_(ids))
            for table in (import_rejects, import_chunks)
        ]
        async with self.database.snapshot() as connection:
            return sum([(await connection.execute(count)).scalar_one() for count in counted])

    async def forget(self, job_id: str) -> None:
        """Delete the ledger and the rejects of a job; missing is fine."""
        async with self.database.begin() as connection:
            await _delete(connection, job_id)


async def _position(connection: AsyncConnection, import_id: str) -> ImportPosition:
    counted = import_chunks.c
    names = ("read", "inserted", "updated", "unchanged", "rejected")
    row = (
        await connection.execute(
            select(
                (func.coalesce(func.max(counted.chunk), -1) + 1).label("chunk"),
                func.coalesce(func.max(counted.next_byte), 0).label("byte"),
                func.coalesce(func.max(counted.next_line), 1).label("line"),
                *(func.coalesce(func.sum(counted[name]), 0).label(name) for name in names),
            ).where(counted.import_id == import_id)
        )
    ).one()
    counts = {name: int(value) for name, value in row._mapping.items()}
    return ImportPosition(import_id=import_id, **counts)


async def _delete(connection: AsyncConnection, job_id: str) -> None:
    ids = select(imports.c.id).where(imports.c.job_id == job_id)
    for table in (import_rejects, import_chunks):
        await connection.execute(delete(table).where(table.c.import_id.in_(ids)))
    await connection.execute(delete(imports).where(imports.c.job_id == job_id))


def _stored(import_id: str, reject: Reject) -> dict[str, object]:
    return {
        "import_id": import_id,
        "row": reject.row,
        "line": reject.line,
        "columns": reject.columns,
        "value": reject.value.replace("\0", "\u2400"),  # PostgreSQL has no text with NUL
        "reason": reject.reason,
        "original": json.dumps(reject.original, ensure_ascii=False),
    }
