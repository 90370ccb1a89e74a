"""What can go wrong with an import beyond single rows."""

from jobs.errors import PermanentError, TransientError


class ImportSourceInvalid(PermanentError):
    """The file can't be read as it is, or not as the job says; nothing after it was written."""


class ImportHeaderInvalid(PermanentError):
    """The columns don't fit the target; no row was read."""


class ImportRowRejected(PermanentError):
    """A row is bad and the job says ``on_error=stop``."""


class ImportTooManyRejects(PermanentError):
    """More rows are bad than ``max_errors`` allows, or so many at the start that all will be."""


class ImportSourceChanged(PermanentError):
    """The file is another than when the import began."""


class ImportSuperseded(TransientError):
    """Another attempt has written this chunk; this one must not go on."""
