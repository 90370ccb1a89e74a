"""The description of the API for people: one page made of the OpenAPI document, no scripts."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from opening import TEMPLATES

METHODS: Final = ("get", "post", "put", "patch", "delete")
CODE: Final = re.compile(r"(`+)(.+?)\1")


@cache
def environment() -> Environment:
    """Return the environment of the pages' templates."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["pretty"] = lambda data: json.dumps(data, indent=2, ensure_ascii=False)
    made.filters["marked"] = marked
    return made


def marked(text: str) -> Markup:
    """Return Markdown of words and code, which is all that descriptions hold, as HTML."""
    return Markup(CODE.sub(r"<code>\2</code>", str(escape(text))))  # noqa: S704 - escaped before


def render(document: Mapping[str, Any]) -> str:
    """Return the page."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if (operation := methods.get(method)) is not None:
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(method, path, operation))
    schemas = document["components"]["schemas"]
    page = environment().get_template("reference.html")
    return page.render(info=document["info"], groups=groups, schemas=schemas)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    bodies = operation.get("requestBody", {}).get("content", {})
    answers = []
    for status, response in operation["responses"].items():
        model = ""
        for content in response.get("content", {}).values():
            model = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        answers.append((status, response["description"], model))
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("description") or operation.get("summary", ""),
        "open": not operation.get("security"),
        "parameters": operation.get("parameters", []),
        "bodies": [
            {
                "type": media_type,
                "model": content.get("schema", {}).get("$ref", "").rpartition("/")[2],
                "examples": {
                    name: example["value"] for name, example in content.get("examples", {}).items()
                },
            }
            for media_type, content in bodies.items()
        ],
        "answers": answers,
    }
