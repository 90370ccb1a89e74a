"""The audit of dependencies and the bill of materials."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

CLEAN: dict[str, Any] = {"name": "pillow", "version": "13.0.0", "vulns": []}
FLAWED = {**CLEAN, "vulns": [{"id": "CVE-1", "fix_versions": ["13.0.1"]}]}
SKIPPED = {"name": "pillow", "skip_reason": "the service could not be reached"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN], 0, "1 packages, no known vulnerability"),
        ([CLEAN, FLAWED], 1, "pillow 13.0.0: CVE-1, mended in 13.0.1"),
        ([CLEAN, SKIPPED], 1, "1 of 2 packages could not be looked up"),
        ([], 1, ""),
    ],
)
def test_an_audit_passes_only_when_every_package_was_looked_up_and_is_clean(
    packages: list[dict[str, Any]], code: int, said: str
) -> None:
    judged = subprocess.run(
        [sys.executable, ROOT / "deploy/audit.py"],
        input=json.dumps({"dependencies": packages}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == code
    assert said in judged.stdout


def test_the_bill_of_materials_names_every_package_of_the_image_with_its_hashes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sbom.json"
    words = ["requirements", "requirements.lock", "--pyproject", "pyproject.toml", "-o", str(path)]
    subprocess.run([BIN / "cyclonedx-py", *words], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(path.read_text())
    names = {part["name"] for part in bill["components"]}
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    assert names == {line.partition("==")[0] for line in lock if "==" in line.split(" ")[0]}
    assert bill["metadata"]["component"]["name"] == "conveyor-jobs"
    assert "SHA-256" in path.read_text()
