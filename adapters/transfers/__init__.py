"""Files that are imported, and files that exports write."""

from adapters.transfers.sources import SourceFiles
from adapters.transfers.writers import open_writer

__all__ = ["SourceFiles", "open_writer"]
