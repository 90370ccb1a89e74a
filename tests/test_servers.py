"""The servers of the tests themselves."""

import subprocess
from pathlib import Path

import pytest

from tests.servers import ServerMissingError, copy_of_postgresql


def test_a_copy_of_postgresql_has_its_libraries(tmp_path: Path) -> None:
    try:
        installed = copy_of_postgresql(tmp_path)
    except ServerMissingError as missing:
        pytest.skip(str(missing))
    for program in ("initdb", "postgres", "pg_isready"):
        told = subprocess.run(
            [str(installed / "bin" / program), "--version"], check=True, capture_output=True
        )
        assert b"PostgreSQL" in told.stdout
