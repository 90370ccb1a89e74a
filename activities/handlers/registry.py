"""Which handler takes an inbound event."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from activities.handlers.tools import Tools
from jobs.webhooks import Handled, InboundEvent

ANY: Final = "*"

HandlerFunction = Callable[[InboundEvent, Tools], Awaitable[Handled]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function, and the events that it takes."""

    source: str
    type: str
    function: HandlerFunction

    @property
    def name(self) -> str:
        """Its name in results, logs and the keys of its effects; renaming repeats effects."""
        return self.function.__name__


def handler(source: str, event_type: str) -> Callable[[HandlerFunction], Handler]:
    """Make a function the handler of a source's events of one type, or of all with ``*``.

    It takes effect when ``activities.handlers.ALL`` lists it. It runs at least once per event:
    what it does it does once by ``processed_effect``, under the event's id.
    """

    def register(function: HandlerFunction) -> Handler:
        return Handler(source, event_type, function)

    return register


class Handlers:
    """Finds the handler of an event."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = {(handler.source, handler.type): handler for handler in handlers}
        if len(self._handlers) != len(handlers):
            msg = "two handlers are registered for the same source and type"
            raise ValueError(msg)

    def find(self, source: str, event_type: str) -> Handler | None:
        """Return the handler of exactly that type, else the source's ``*``, else None."""
        exact = self._handlers.get((source, event_type))
        return exact or self._handlers.get((source, ANY))
