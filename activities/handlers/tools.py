"""What handlers work with: each does its effect once per event, in one transaction."""

from dataclasses import dataclass
from typing import Protocol

from jobs.webhooks import InboundState
from jobs.webhooks.effects import Effect, Payment, Push


class PushLog(Protocol):
    """Where pushes are recorded."""

    async def record(self, effect: Effect, push: Push) -> InboundState:
        """Record ``push`` once; ``stale`` when a newer push of that ref is known."""
        ...


class OrderBook(Protocol):
    """The shop's orders."""

    async def mark_paid(self, effect: Effect, payment: Payment) -> InboundState:
        """Mark an order paid once; ``stale`` when it has been refunded or cancelled since.

        Raises:
            OrderUnknown: There is no such order yet.
            EventRejected: Amount or currency are not the order's.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Everything that handlers may use."""

    pushes: PushLog
    orders: OrderBook
