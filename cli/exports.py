"""``starter.py exports``: what can be exported."""

from typing import Annotated, Any, Final

import typer

from cli import output

COLUMNS: Final = ("QUERY", "COLUMNS", "PARAMETERS")

app = typer.Typer(no_args_is_help=True, help="Exports: what can be written into files.")


@app.callback()
def exports() -> None:
    """Exports: what can be written into files."""


@app.command()
def queries(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the queries that can be exported, with their columns and parameters."""
    from jobs.exports import QUERIES

    shown: list[dict[str, Any]] = [
        {
            "name": query.name,
            "columns": [column.name for column in query.columns],
            "parameters": query.parameters.model_json_schema()["properties"],
        }
        for query in QUERIES.values()
    ]
    if json:
        output.print_json(shown)
        return
    rows = [
        (query["name"], ", ".join(query["columns"]), ", ".join(query["parameters"]))
        for query in shown
    ]
    output.print_rows(COLUMNS, rows)
