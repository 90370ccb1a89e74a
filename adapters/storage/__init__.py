"""Object storage: a local folder, or S3 and what is compatible with it, behind one API."""

from adapters.storage.store import Storage
from adapters.storage.writing import ObjectWriter

__all__ = ["ObjectWriter", "Storage"]
