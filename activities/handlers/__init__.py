"""Handlers of inbound events.

A new one is a function in a module beside, and its name in ``ALL``::

    @handler("github", "push")
    async def record_push(event: InboundEvent, tools: Tools) -> Handled: ...
"""

from typing import Final

from activities.handlers.forwarding import forward
from activities.handlers.github import record_push
from activities.handlers.registry import Handler
from activities.handlers.stripe import mark_order_paid

ALL: Final[tuple[Handler, ...]] = (record_push, mark_order_paid, forward)
