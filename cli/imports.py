"""``starter.py imports``: where files can be imported to."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import output

if TYPE_CHECKING:
    from jobs.imports import Target

COLUMNS: Final = ("TARGET", "COLUMN", "", "TYPE", "RULES")

app = typer.Typer(no_args_is_help=True, help="Imports: where files can go.")


@app.callback()
def imports() -> None:
    """Imports: where files can go."""


@app.command()
def targets(
    name: Annotated[str | None, typer.Argument(help="Show only that target.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the targets of imports, with the columns that a file may have."""
    from jobs.errors import InvalidInputError, Problem
    from jobs.imports import TARGETS
    from jobs.validation import nearest

    if name is not None and name not in TARGETS:
        problem = Problem("target", f"no target {name!r}; {nearest(name, list(TARGETS))}")
        raise InvalidInputError([problem])
    shown = [target for target in TARGETS.values() if name in {None, target.name}]
    if json:
        output.print_json([described(target) for target in shown])
        return
    rows = [
        (target["name"], column["name"], role(column), column["type"], column["rules"])
        for target in map(described, shown)
        for column in target["columns"]
    ]
    output.print_rows(COLUMNS, rows)


def role(column: dict[str, Any]) -> str:
    """Return what must be known of a column first."""
    if column["key"]:
        return "key"
    return "required" if column["required"] else "optional"


def described(target: "Target") -> dict[str, Any]:
    """Return a target as data."""
    from jobs.imports import Expected, MinorUnits

    properties = target.row.model_json_schema()["properties"]
    columns = []
    for name, field in target.fields.items():
        schema = next(iter(properties[name].get("anyOf", [])), properties[name])
        words = [rule.words for rule in field.metadata if isinstance(rule, Expected)]
        money = any(isinstance(rule, MinorUnits) for rule in field.metadata)
        columns.append(
            {
                "name": name,
                "key": name == target.key,
                "required": field.is_required(),
                "type": "amount" if money else schema.get("format", schema.get("type", "text")),
                "rules": "" if money else rules(schema, words),
            }
        )
    return {"name": target.name, "columns": columns}


def rules(schema: dict[str, Any], words: list[str]) -> str:
    """Return the rules of a value in a few words."""
    if words:
        return words[0]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    texts = {
        "pattern": "matches {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "from {}",
        "maximum": "up to {}",
    }
    return ", ".join(text.format(schema[name]) for name, text in texts.items() if name in schema)
