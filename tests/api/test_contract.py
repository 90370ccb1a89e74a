"""The API against its own description, by generated requests: a short run of schemathesis."""

import asyncio
import sys
from pathlib import Path

import pytest

from jobs.access import Scope
from tests.api.conftest import Api

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.mark.slow
@pytest.mark.parametrize("with_key", [True, False])
async def test_no_request_gets_an_error_of_ours_or_a_status_not_described(
    api: Api, tmp_path: Path, with_key: bool
) -> None:
    api.services.rates.per_second = 1000
    key = ["-H", f"Authorization: Bearer {await api.key('root', Scope.ADMIN)}"] if with_key else []
    process = await asyncio.create_subprocess_exec(
        str(SCHEMATHESIS), "run", f"{api.url}/openapi.json", *key,
        "--phases", "examples,coverage,fuzzing,stateful", "--max-time", "30", "--seed", "9",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance",
        "--continue-on-failure", "--request-timeout", "120", "--suppress-health-check", "too_slow",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[-4000:]
