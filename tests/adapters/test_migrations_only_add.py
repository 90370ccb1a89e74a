"""Migrations only add, so that programs of the release before go on beside the new schema.

Judged by the SQL that each writes for PostgreSQL, where a batch of changes is plain statements too.
"""

import io
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from adapters.database.migrate import MIGRATIONS

EXCEPTIONS: Final[dict[str, str]] = {}
"""Migrations that do more than add, each with why no program of the release before minds."""

NEW_TABLE: Final = re.compile(r"CREATE TABLE (\S+)")
INDEX: Final = re.compile(r"CREATE INDEX \S+ ON ")
UNIQUE_INDEX: Final = re.compile(r"CREATE UNIQUE INDEX \S+ ON (\S+)")
NEW_COLUMN: Final = re.compile(r"ALTER TABLE \S+ ADD COLUMN (.+)")


def scripts() -> dict[str, Callable[[], None]]:
    """Return what each migration does, by its name."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = ScriptDirectory.from_config(config).walk_revisions()
    return {script.revision: script.module.upgrade for script in found}


def statements(upgrade: Callable[[], Any]) -> list[str]:
    """Return the SQL of a migration, one statement each on a line."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        upgrade()
    return [" ".join(each.split()) for each in written.getvalue().split(";") if each.strip()]


def not_adding(sql: list[str]) -> list[str]:
    """Return the statements after which a program that doesn't know of them could fail."""
    made = {match[1] for each in sql if (match := NEW_TABLE.match(each))}
    return [each for each in sql if not _adds(each, made)]


def _adds(statement: str, made: set[str]) -> bool:
    if NEW_TABLE.match(statement) or INDEX.match(statement):
        return True
    if unique := UNIQUE_INDEX.match(statement):
        return unique[1] in made
    column = NEW_COLUMN.match(statement)
    return column is not None and ("NOT NULL" not in column[1] or " DEFAULT " in column[1])


@pytest.mark.parametrize("revision", sorted(scripts()))
def test_a_migration_takes_nothing_from_programs_of_the_release_before(revision: str) -> None:
    sql = statements(scripts()[revision])
    assert sql
    if revision in EXCEPTIONS:
        assert not_adding(sql), f"{revision} adds only: it needs no exception"
    else:
        assert not_adding(sql) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE users",
        "DROP INDEX ix_users_email",
        "ALTER TABLE users DROP COLUMN email",
        "ALTER TABLE users RENAME TO people",
        "ALTER TABLE users RENAME email TO address",
        "ALTER TABLE users ALTER COLUMN email TYPE INTEGER",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE users ADD CONSTRAINT ck_users_email CHECK (email <> '')",
        "ALTER TABLE users ADD COLUMN phone TEXT NOT NULL",
        "CREATE UNIQUE INDEX ix_users_email ON users (email)",
        "UPDATE users SET email = lower(email)",
    ],
)
def test_a_statement_that_takes_something_is_told_from_one_that_adds(statement: str) -> None:
    adding = ["CREATE TABLE notes (id TEXT NOT NULL)", "CREATE UNIQUE INDEX ix_n ON notes (id)",
              "CREATE INDEX ix_users_name ON users (name)", "ALTER TABLE users ADD COLUMN a TEXT",
              "ALTER TABLE users ADD COLUMN b TEXT DEFAULT '' NOT NULL"]  # fmt: skip
    assert not_adding([*adding, statement]) == [statement]
