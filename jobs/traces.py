"""What a job leaves behind besides its history: files and rows of ledgers."""

from jobs.base import Contract


class Erased(Contract):
    """How much of a job's traces was deleted, or would be."""

    files: int = 0
    bytes: int = 0
    """Of those files."""
    rows: int = 0
    """Rows of ledgers."""

    def plus(self, other: "Erased") -> "Erased":
        """Return both together."""
        return Erased(
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            rows=self.rows + other.rows,
        )
