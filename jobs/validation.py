"""Input at the doors: everything wrong is named, with the fix, before any work starts."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jobs.base import MAX_INPUT_BYTES, Contract, Personal
from jobs.errors import InvalidInputError, Problem

ContractT = TypeVar("ContractT", bound=Contract)

REDACTED: Final = "***"


def validate(model: type[ContractT], data: Mapping[str, Any]) -> ContractT:
    """Return ``data`` as a ``model``.

    Raises:
        InvalidInputError: with a ``Problem`` for each field that is unknown, missing or wrong.
    """
    try:
        value = model.model_validate(dict(data), extra="forbid")
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        schema = schema_of(model)
        raise InvalidInputError([_problem(detail, schema) for detail in details]) from None
    size = len(canonical_json(value))
    if size > MAX_INPUT_BYTES:
        message = (
            f"the input has {size:,} bytes, {MAX_INPUT_BYTES:,} are allowed: "
            "put large data into storage and pass its key"
        )
        raise InvalidInputError([Problem("", message)])
    return value


@cache
def schema_of(model: type[Contract]) -> Mapping[str, Any]:
    """Return the JSON Schema of a contract, made once: that takes as long as a submission."""
    return model.model_json_schema()


def canonical_json(value: Contract) -> bytes:
    """Return the one spelling of ``value``, with defaults filled in and keys sorted."""
    data = value.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def fingerprint(value: Contract) -> str:
    """Return the SHA-256 of ``value``, by which a repeated submission is recognised."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def nearest(name: str, known: Sequence[str]) -> str:
    """Return ``did you mean 'X'?`` for the closest known name, else the list of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {str(near[0])!r}?" if near else f"known are: {', '.join(sorted(known))}"


def redact(model: type[Contract], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` with the values of fields that are marked ``Personal`` replaced."""
    shown = dict(data)
    for name, field in model.model_fields.items():
        if name in shown and shown[name] not in (None, "", [], {}) and Personal in field.metadata:
            shown[name] = REDACTED
    return shown


def _problem(detail: ErrorDetails, schema: Mapping[str, Any]) -> Problem:
    path, siblings = _locate(detail["loc"], schema)
    match detail["type"]:
        case "extra_forbidden":
            message = f"no such field; {nearest(str(detail['loc'][-1]), siblings)}"
        case "missing":
            message = "is required"
        case "union_tag_not_found":
            message = "needs a 'type'"
        case _:
            message = detail["msg"].removeprefix("Value error, ")
    return Problem(".".join(path), message)


def _locate(
    location: Sequence[int | str], schema: Mapping[str, Any]
) -> tuple[list[str], Sequence[str]]:
    """Return the path as the user wrote it, and the field names known at its last part.

    pydantic's location names the member of a union (``operations, 0, resize, widht``); the user's
    input has no such level.
    """
    path: list[str] = []
    here: Mapping[str, Any] = schema
    siblings: Sequence[str] = ()
    for part in location:
        here = resolve(here, schema)
        fields: Mapping[str, Any] = here.get("properties", {})
        tags: Mapping[str, str] = here.get("discriminator", {}).get("mapping", {})
        if isinstance(part, int):
            here = here.get("items", {})
        elif part in tags:
            here = {"$ref": tags[part]}
            continue
        else:
            siblings = list(fields)
            here = fields.get(part, here.get("additionalProperties") or {})
        path.append(str(part))
    return path, siblings


def resolve(here: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part ``here`` of a JSON ``schema``, a reference or ``| None`` seen through."""
    if "$ref" in here:
        found: Mapping[str, Any] = schema["$defs"][here["$ref"].rpartition("/")[2]]
        return found
    members = [member for member in here.get("anyOf", []) if member.get("type") != "null"]
    return resolve(members[0], schema) if len(members) == 1 else here
