"""``starter.py kinds``: what can be submitted."""

import sys
from typing import Annotated

import typer

from cli import output
from jobs import wording


def show_kinds(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="Show that kind in full.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print its input's JSON schema.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Print an input that works.")] = False,
) -> None:
    """List the kinds of job, or show one."""
    from jobs import kinds

    if kind is None:
        rows = [
            (each.name, each.queue, (each.input.__doc__ or "").strip().partition("\n")[0])
            for each in kinds.ALL
        ]
        output.print_rows(("KIND", "QUEUE", "WHAT IT TAKES"), rows)
        return
    found = kinds.find(kind)
    if schema:
        output.print_json(found.input.model_json_schema())
    elif example:
        output.print_json(dict(found.example))
    else:
        sys.stdout.write(_page(found.name))


def _page(name: str) -> str:
    from jobs import kinds

    kind = kinds.find(name)
    properties = kind.input.model_json_schema().get("properties", {})
    required = set(kind.input.model_json_schema().get("required", []))
    lines = [
        f"{kind.name}  ({kind.workflow}, queue {kind.queue})",
        f"  deadline   {wording.duration(kind.deadline.total_seconds())}",
        f"  kept       {wording.duration(kind.retention.completed.total_seconds())} completed, "
        f"{wording.duration(kind.retention.failed.total_seconds())} failed",
        f"  held on    {', '.join(sorted(kind.hold_on))}",
        "  steps",
    ]
    for step, options in kind.steps.items():
        policy = options.get("retry_policy")
        timeout = options.get("start_to_close_timeout")
        attempts = f"{policy.maximum_attempts} attempts" if policy else ""
        limit = f"{wording.duration(timeout.total_seconds())} each" if timeout else ""
        lines.append(f"    {step:<24} {attempts}, {limit}")
    lines.append("  input")
    for field, about in properties.items():
        mark = "required" if field in required else ""
        text = " ".join(about.get("description", "").replace("``", "`").split())
        lines.append(f"    {field:<16} {mark:<9} {text}".rstrip())
    return "\n".join(lines) + "\n"
