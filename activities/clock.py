"""The server's time inside a step: a worker's own clock may be wrong."""

import time
from datetime import datetime, timedelta

from temporalio import activity


class ServerClock:
    """Tells the server's time since this step's attempt began; make it first thing."""

    def __init__(self) -> None:
        self._started_at = activity.info().started_time
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the present instant."""
        return self._started_at + timedelta(seconds=time.monotonic() - self._began)
