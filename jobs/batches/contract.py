"""What a batch takes and gives."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from jobs import validation
from jobs.access import INTERNAL_KINDS, stored_files
from jobs.base import MAX_INPUT_BYTES, Contract, JobKind, Personal, StoredFile
from jobs.errors import InvalidInputError, Problem

MAX_INLINE: Final = 1000
MAX_ITEMS: Final = 1_000_000
DEFAULT_WINDOW: Final = 100
MAX_WINDOW: Final = 500
MAX_PROBLEMS: Final = 20
"""The items of one list are mostly wrong alike; after so many problems no further ones are named.
"""
ROOM_FOR_THE_REST: Final = 2048
"""Bytes of an input that are not for its items."""


class OnCancel(StrEnum):
    """What becomes of items that have begun when a batch is cancelled; no further ones begin."""

    STOP = "stop"
    """They are cancelled too."""
    FINISH = "finish"
    """They come to their end first."""


class Batch(Contract):
    """Many inputs of one kind."""

    kind: str = Field(examples=["email"])
    """Of which kind the items are."""
    items: Annotated[
        list[dict[str, JsonValue]] | None, Field(min_length=1, max_length=MAX_INLINE), Personal
    ] = None
    """Up to 1,000 inputs. Give this, ``items_source`` or ``retry_of``."""
    items_source: StoredFile | None = None
    """A stored file with an input in JSON a line, up to 1,000,000."""
    retry_of: Annotated[str, Field(pattern=r"^batch-[A-Za-z0-9_.:\-]{1,200}$")] | None = None
    """Id of a batch that has ended: the items that did not complete there are done again, as the
    same jobs."""
    window: int = Field(default=DEFAULT_WINDOW, ge=1, le=MAX_WINDOW)
    """So many items at once."""
    on_cancel: OnCancel = OnCancel.STOP
    """What becomes of items that have begun when the batch is cancelled."""

    @field_validator("kind")
    @classmethod
    def _a_kind_for_batches(cls, name: str) -> str:
        try:
            kind_of_items(name)
        except InvalidInputError as error:
            raise ValueError(error.problems[0].message) from None
        return name

    @field_validator("items")
    @classmethod
    def _each_fits_its_kind(
        cls, items: list[dict[str, JsonValue]] | None, info: ValidationInfo
    ) -> list[dict[str, JsonValue]] | None:
        if items is not None and "kind" in info.data:
            check_size(items)
            check_items(kind_of_items(info.data["kind"]), items)
        return items

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = (self.items, self.items_source, self.retry_of)
        if sum(source is not None for source in given) != 1:
            msg = "give one of 'items', 'items_source' and 'retry_of'"
            raise ValueError(msg)
        return self


class BatchOutcomes(Contract):
    """The file that tells what became of each item."""

    key: str
    name: str
    """For people: ``november-outcomes.jsonl``."""
    content_type: str = "application/jsonl"
    bytes: int
    sha256: str


class BatchResult(Contract):
    """Counts by outcome, and where to read each."""

    total: int
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    """Also those that had not begun when the batch was cancelled."""
    outcomes: BatchOutcomes


def kind_of_items(name: str) -> JobKind[Any, Any]:
    """Return the kind of that name, if there can be a batch of it.

    Raises:
        InvalidInputError: there is none, or its jobs can't be items.
    """
    from jobs import kinds  # which imports this module, for its list

    kind = kinds.find(name)
    if name == "batch":
        message = "a batch is no item of a batch: put the items of both into one list"
    elif name in INTERNAL_KINDS:
        message = f"jobs of kind {name!r} are started by the service"
    elif kind.due is not None:
        message = (
            f"jobs of kind {name!r} begin at times of their own, for which a batch would have to "
            f"wait: submit them with `starter.py submit {name} --bulk FILE`"
        )
    else:
        return kind
    raise InvalidInputError([Problem("kind", message)])


def read_item(kind: JobKind[Any, Any], item: object) -> Contract:
    """Return ``item`` as an input of ``kind``.

    Raises:
        InvalidInputError: with everything that is wrong with it.
    """
    if not isinstance(item, dict):
        raise InvalidInputError([Problem("", "must be one JSON object")])
    read: Contract = validation.validate(kind.input, item)
    return read


def check_size(items: list[dict[str, JsonValue]]) -> None:
    """Raise ``ValueError`` with the fix if ``items`` are more than an input may hold."""
    size = len(json.dumps(items, separators=(",", ":"), ensure_ascii=False).encode())
    if size > MAX_INPUT_BYTES - ROOM_FOR_THE_REST:
        msg = (
            f"{size:,} bytes are more than an input holds: write an item a line into a file, "
            "and give it as 'items_source'"
        )
        raise ValueError(msg)


def check_items(kind: JobKind[Any, Any], items: list[dict[str, JsonValue]]) -> None:
    """Raise ``ValidationError``, located in the list, unless every item is an input of ``kind``."""
    wrong: list[InitErrorDetails] = []
    for index, item in enumerate(items):
        try:
            read_item(kind, item)
        except InvalidInputError as error:
            wrong += [
                InitErrorDetails(
                    type=PydanticCustomError("item", "{problem}", {"problem": problem.message}),
                    loc=(index, *(problem.field.split(".") if problem.field else ())),
                    input=None,
                )
                for problem in error.problems
            ]
        if len(wrong) >= MAX_PROBLEMS:
            break
    if wrong:
        raise ValidationError.from_exception_data("items", wrong)


def files_of_items(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield path and key of every stored file that the items of a batch's input name."""
    items = data.get("items")
    if not isinstance(items, list):
        return
    try:
        kind = kind_of_items(str(data.get("kind")))
    except InvalidInputError:
        return  # the submission is refused for it
    schema = validation.schema_of(kind.input)  # type: ignore[arg-type] # a class is hashable
    for index, item in enumerate(items):
        for path, key in stored_files(schema, item):
            yield f"items.{index}.{path}", key
