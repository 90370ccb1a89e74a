"""Final failures go to an error tracker that speaks the Sentry protocol: one event for each job.

An event is built here, field by field, of what ``FinalFailure`` holds. The client is one of our
own, without the library's integrations, so that nothing else is ever caught: no frames, no local
variables, no lines of source, no breadcrumbs, no requests. The library is imported only where a
DSN is set.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from adapters.telemetry import LogReporter
from jobs._version import __version__
from jobs.failures import FinalFailure
from jobs.metrics import SYSTEM, kind_label

if TYPE_CHECKING:
    from sentry_sdk.client import Client
    from sentry_sdk.types import Event

logger: Final = logging.getLogger("conveyor.errors")

SENT: Final = frozenset(
    {
        "contexts",
        "environment",
        "event_id",
        "exception",
        "fingerprint",
        "level",
        "logger",
        "platform",
        "release",
        "sdk",
        "tags",
        "timestamp",
    }
)
"""All that an event may hold, whatever the library adds."""

FLUSH_S: Final = 2.0
"""How long a report waits for the tracker; what is not sent by then is sent later."""


class SentryReporter:
    """Sends each final failure as one event; while the tracker is away it warns once and goes on.

    Args:
        dsn: Where to: ``https://key@host/project``.

    Raises:
        ValueError: ``dsn`` is none.
    """

    def __init__(self, dsn: str) -> None:
        self.away = False
        self._client = _client(dsn, self._dropped)

    async def report(self, failure: FinalFailure) -> None:
        """Send ``failure``; waits for the tracker a little, and not at all while it is away."""
        self._client.capture_event(event_of(failure))
        if not self.away:
            await asyncio.to_thread(self._client.flush, timeout=FLUSH_S)

    async def close(self) -> None:
        """Send what is waiting."""
        await asyncio.to_thread(self._client.close, timeout=FLUSH_S)

    def _dropped(self, reason: str) -> None:
        if not self.away:
            logger.warning(
                "the error tracker does not take events: failures are only logged",
                extra={"reason": reason},
            )
        self.away = True


class Reporters:
    """Reports to the log, and to the error tracker if one is set."""

    def __init__(self, tracker: SentryReporter | None = None) -> None:
        self._log = LogReporter()
        self._tracker = tracker

    @classmethod
    def open(cls, dsn: str | None) -> "Reporters":
        """Return the reporters; ``dsn`` is the tracker's.

        Raises:
            ValueError: ``dsn`` is no DSN.
        """
        return cls(SentryReporter(dsn) if dsn else None)

    async def report(self, failure: FinalFailure) -> None:
        """Report ``failure`` everywhere."""
        await self._log.report(failure)
        if self._tracker is not None:
            await self._tracker.report(failure)

    async def close(self) -> None:
        """Send what is waiting."""
        if self._tracker is not None:
            await self._tracker.close()


def event_of(failure: FinalFailure) -> "Event":
    """Return what the tracker learns of ``failure``.

    The event's id is made of the job's run, so that a report that is made again is no second event.
    """
    kind = kind_label(failure.workflow)
    name = kind if kind != SYSTEM else failure.workflow
    return {
        "event_id": uuid.uuid5(uuid.NAMESPACE_OID, failure.run_id).hex,
        "level": "error",
        "logger": "conveyor",
        "exception": {
            "values": [{"type": failure.type, "value": f"a job of kind {name} failed for good"}]
        },
        "fingerprint": [name, failure.type],
        "tags": {"kind": name, "error": failure.type, "job_id": failure.job_id},
        "contexts": {
            "job": {
                "type": "job",
                "id": failure.job_id,
                "run_id": failure.run_id,
                "workflow": failure.workflow,
                "attempts": failure.attempts,
            }
        },
    }


def _client(dsn: str, dropped: Callable[[str], None]) -> "Client":
    from sentry_sdk.client import Client
    from sentry_sdk.transport import HttpTransport
    from sentry_sdk.utils import BadDsn

    class Transport(HttpTransport):
        """Tells of events that are lost."""

        @override
        def on_dropped_event(self, _reason: str) -> None:
            dropped(_reason)

    def only_what_is_ours(event: Any, _hint: Any) -> Any:
        return {name: value for name, value in event.items() if name in SENT}

    try:
        return Client(
            dsn=dsn,
            release=f"conveyor@{__version__}",
            transport=Transport,
            before_send=only_what_is_ours,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            send_client_reports=False,
            auto_session_tracking=False,
            server_name="",
        )
    except BadDsn:
        msg = "is no DSN: write https://KEY@HOST/PROJECT, as the error tracker shows it"
        raise ValueError(msg) from None
