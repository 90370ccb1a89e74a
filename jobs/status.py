"""Progress (more follows)."""

from jobs.base import Contract


class Progress(Contract):
    """How far a step is; what activities heartbeat."""

    step: str = ""
    """Name of the step, ``resize``."""
    done: int = 0
    total: int | None = None
    unit: str = ""
    """What is counted, ``bytes``, ``rows``; empty for bare steps."""
    message: str = ""
