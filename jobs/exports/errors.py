"""What can go wrong with an export."""

from jobs.errors import PermanentError, TransientError


class ExportTooLarge(PermanentError):
    """The format can't hold so many rows."""


class ExportUnsupported(PermanentError):
    """A library that the format needs is not installed on the workers."""


class ExportSuperseded(TransientError):
    """Another attempt has written this part; this one must not go on."""
