"""Effects of handlers, each once per event: its key and the effect are one transaction."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.engine import Database
from adapters.database.metadata import to_micros
from adapters.database.shop import orders
from adapters.database.webhooks.tables import heads, processed_effects, pushes
from jobs.webhooks import EventRejected, InboundState
from jobs.webhooks.effects import Effect, OrderUnknown, Payment, Push

PENDING: Final = "pending"
PAID: Final = "paid"


async def processed_effect(database: Database, connection: AsyncConnection, effect: Effect) -> bool:
    """Tell whether ``effect`` was done before, and else claim it for this transaction.

    Two workers at once: the second waits for the first's transaction and finds it done.
    """
    claim = database.insert(processed_effects).values(
        handler=effect.handler, event_id=effect.event_id, processed_at=to_micros(effect.at)
    )
    claimed = await connection.execute(claim.on_conflict_do_nothing())
    return claimed.rowcount == 0


async def was_processed(connection: AsyncConnection, effect: Effect) -> bool:
    """Tell whether ``effect`` was done before, claiming nothing: for what may turn out stale."""
    query = select(processed_effects.c.handler).where(
        processed_effects.c.handler == effect.handler,
        processed_effects.c.event_id == effect.event_id,
    )
    return (await connection.execute(query)).first() is not None


@dataclass(frozen=True, slots=True)
class PushLog:
    """The pushes that were recorded, and the newest of each ref."""

    database: Database

    async def record(self, effect: Effect, push: Push) -> InboundState:
        """Record ``push`` once; ``stale``, and nothing recorded, when a newer one is known."""
        pushed_at = to_micros(push.pushed_at)
        async with self.database.begin() as connection:
            if await was_processed(connection, effect):
                return InboundState.PROCESSED
            head = self.database.insert(heads).values(
                repository=push.repository, ref=push.ref, after=push.after, pushed_at=pushed_at
            )
            moved = await connection.execute(
                head.on_conflict_do_update(
                    index_elements=[heads.c.repository, heads.c.ref],
                    set_={"after": push.after, "pushed_at": pushed_at},
                    where=heads.c.pushed_at <= pushed_at,
                )
            )
            if moved.rowcount == 0:
                return InboundState.STALE
            if await processed_effect(self.database, connection, effect):
                return InboundState.PROCESSED
            await connection.execute(
                pushes.insert().values(
                    event_id=effect.event_id,
                    repository=push.repository,
                    ref=push.ref,
                    before=push.before,
                    after=push.after,
                    commits=push.commits,
                    pushed_at=pushed_at,
                )
            )
        return InboundState.PROCESSED


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The shop's orders, as the payments handler sees them."""

    database: Database

    async def mark_paid(self, effect: Effect, payment: Payment) -> InboundState:
        """Mark an order paid, once.

        Raises:
            OrderUnknown: There is no such order yet.
            EventRejected: Amount or currency are not the order's.
        """
        mine = orders.c.id == payment.order_id
        async with self.database.begin() as connection:
            if await was_processed(connection, effect):
                return InboundState.PROCESSED
            columns = (orders.c.status, orders.c.amount_minor, orders.c.currency)
            order = (await connection.execute(select(*columns).where(mine))).first()
            if order is None:
                msg = "there is no such order yet"
                raise OrderUnknown(msg)
            if (order.amount_minor, order.currency) != (payment.amount_minor, payment.currency):
                msg = "amount or currency are not the order's"
                raise EventRejected(msg)
            if order.status not in {PENDING, PAID}:
                return InboundState.STALE
            if await processed_effect(self.database, connection, effect):
                return InboundState.PROCESSED
            paid = update(orders).where(mine, orders.c.status == PENDING).values(status=PAID)
            await connection.execute(paid)
        return InboundState.PROCESSED
