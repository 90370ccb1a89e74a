"""The ledgers of imports and exports, and what they write and read.

Importing this package puts its tables on the shared metadata.
"""

from adapters.database.transfers.exports import SOURCES, Exports
from adapters.database.transfers.imports import TABLES, Imports
from adapters.database.transfers.tables import (
    export_parts,
    import_chunks,
    import_rejects,
    imports,
)

__all__ = [
    "SOURCES",
    "TABLES",
    "Exports",
    "Imports",
    "export_parts",
    "import_chunks",
    "import_rejects",
    "imports",
]
