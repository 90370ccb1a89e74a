"""Files that are imported, and files that exports write."""

from adapters.transfers.sources import SourceFiles

__all__ = ["SourceFiles"]
