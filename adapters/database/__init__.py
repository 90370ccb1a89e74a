"""The application database: SQLite by default, PostgreSQL by setting.

``engine.Database`` owns the connections; each kind has a module with its tables and its
repository; ``migrate`` brings a database up to date.
"""

from adapters.database.engine import Database, Patience
from adapters.database.metadata import from_micros, metadata, to_micros
from adapters.database.migrate import migrate, pending

__all__ = ["Database", "Patience", "from_micros", "metadata", "migrate", "pending", "to_micros"]
