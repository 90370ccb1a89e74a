"""Times in words, for terminal and page."""

from datetime import UTC, datetime


def ago(instant: datetime | None) -> str:
    """Return an instant as people say it: ``3 min ago``, ``in 2 h``."""
    if instant is None:
        return ""
    seconds = (datetime.now(UTC) - instant).total_seconds()
    span = duration(abs(seconds))
    return f"in {span}" if seconds < 0 else f"{span} ago"


def duration(seconds: float) -> str:
    """Return a span of time in its largest unit that is even, or of which there are two."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
