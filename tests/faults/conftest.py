"""Both databases, as the tests of adapters have them."""

from tests.adapters.conftest import (
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql,
)

__all__ = ["database_url", "migrated_postgresql", "migrated_sqlite", "postgresql"]
