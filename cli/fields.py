"""A job's input as it is typed: ``FIELD=VALUE``, ``FIELD:=JSON``, ``FIELD=@file``."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.storage import Storage
from jobs.base import Contract
from jobs.errors import InvalidInputError, Problem
from jobs.validation import resolve

STORED_FILE: Final = "stored-file"
UPLOADS: Final = "uploads"


async def read_input(
    model: type[Contract], fields: Sequence[str], document: str | None, storage: Storage
) -> dict[str, Any]:
    """Return the input that ``fields`` spell on top of the JSON ``document`` (a path, or ``-``).

    Files of stored-file fields are uploaded, and their keys stand in the input.

    Raises:
        InvalidInputError: a field can't be read; names it.
    """
    data = read_document(document) if document else {}
    schema = model.model_json_schema()
    for text in fields:
        name, value = await _read_field(text, schema, storage)
        _set(data, name, value, schema)
    return data


def read_document(path: str) -> dict[str, Any]:
    """Return the JSON object in a file, or in standard input for ``-``."""
    data = parse_json("input", sys.stdin.read() if path == "-" else read_text("input", path))
    if not isinstance(data, dict):
        raise InvalidInputError([Problem("input", "must be one JSON object")])
    return data


def parse_json(field: str, text: str) -> Any:
    """Return ``text`` as JSON data."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInputError([Problem(field, f"is no JSON: {error}")]) from None


def read_text(field: str, path: str) -> str:
    """Return the text of a file."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(field, path, error) from None


async def upload(field: str, path: str, storage: Storage) -> str:
    """Put a file into storage under a name made of its content, and return the key."""
    try:
        digest = await asyncio.to_thread(_sha256, path)
        key = f"{UPLOADS}/{digest[:32]}{Path(path).suffix.lower()}"
        await storage.put_file(key, Path(path), create=True)
    except OSError as error:
        raise _unreadable(field, path, error) from None
    return key


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _read_field(text: str, schema: Mapping[str, Any], storage: Storage) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip(":"):
        fix = "write FIELD=VALUE, or FIELD:=JSON for numbers, lists and objects"
        raise InvalidInputError([Problem("", f"{text!r}: {fix}")])
    if name.endswith(":"):
        name = name.removesuffix(":")
        source = read_text(name, value[1:]) if value.startswith("@") else value
        return name, parse_json(name, source)
    if value.startswith("@") and _takes_file(schema_at(schema, name)):
        return name, await upload(name, value[1:], storage)
    return name, value


def _takes_file(schema: Mapping[str, Any]) -> bool:
    return STORED_FILE in (schema.get("format"), schema.get("items", {}).get("format"))


def schema_at(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the JSON schema of the field at a dotted path; empty where there is none."""
    here: Mapping[str, Any] = schema
    for part in name.split("."):
        here = resolve(here, schema)
        fields = here.get("properties", {})
        here = here.get("items", {}) if part.isdigit() else fields.get(part, {})
    return resolve(here, schema)


def _set(data: dict[str, Any], name: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Put ``value`` at a dotted path; a list field takes one value after the other."""
    *parents, last = name.split(".")
    here: Any = data
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if not isinstance(here, dict):
        problem = Problem(name, f"{'.'.join(parents)} is no object with fields")
        raise InvalidInputError([problem])
    listed = schema_at(schema, name).get("type") == "array" and not isinstance(value, list)
    if listed:
        here.setdefault(last, []).append(value)
    else:
        here[last] = value


def _unreadable(field: str, path: str, error: OSError | UnicodeDecodeError) -> InvalidInputError:
    why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
    return InvalidInputError([Problem(field, f"{path} can't be read: {why}")])
