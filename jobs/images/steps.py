"""What passes between the workflow and its steps, and between a step and what decodes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from jobs.base import Contract
from jobs.images.contract import ImageFile, SourceFacts
from jobs.images.operations import Change, Compress, Output


class Encoding(Contract):
    """How a file is written."""

    name: str
    output: Output
    compress: Compress | None = None


class Branch(Contract):
    """What a step makes of the picture that it reads: a picture to go on with, a file, or both."""

    changes: list[Change] = Field(default_factory=list)
    keep: bool = False
    """Whether a later step goes on with the picture."""
    encoding: Encoding | None = None


class Picture(Contract):
    """A picture between two steps, stored without loss."""

    key: str
    digest: str
    """SHA-256 of everything that it was made from."""
    source_format: str


class ImageStep(Contract):
    """One step of an image job."""

    name: str
    """What progress shows, ``resize``."""
    source: str | None = None
    """Key of the source, in the first step."""
    picture: Picture | None = None
    """What an earlier step has kept, in the others."""
    branches: list[Branch]
    on_animated: Literal["first_frame", "reject"] = "first_frame"
    metadata: Literal["strip", "copyright"] = "strip"
    last: bool = False
    """Whether the pictures between the steps can be deleted after it."""


class BranchOutcome(Contract):
    """What a step has made of one branch."""

    picture: Picture | None = None
    file: ImageFile | None = None
    placeholder: str | None = None
    blurhash: str = ""


class StepOutcome(Contract):
    """What a step has made."""

    outcomes: list[BranchOutcome]
    source: SourceFacts | None = None
    """In the first step."""
    warnings: list[str]
    ms: int
    cpu_ms: int


class ImageClaim(Contract):
    """A picture of the catalogue, claimed by a job."""

    image_id: str
    owner: str | None
    """Null: the job was submitted by the operator, who may process every picture."""


class ImageSource(Contract):
    """Where the picture is stored."""

    source: str


class ImageOutcome(Contract):
    """What the job made, for the catalogue."""

    image_id: str
    files: list[ImageFile]


class Abandonment(Contract):
    """What is to be undone after a failure."""

    image_id: str | None = None
    error: str = ""
    """Type of the failure."""
    files: list[ImageFile] = Field(default_factory=list)
    """Finished files."""


class Nothing(Contract):
    """The result of a step that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchWork:
    """One branch, with the local files that it needs and makes."""

    changes: list[Change]
    marks: dict[str, Path] = field(default_factory=dict)
    """Local copies of watermarks, by key."""
    keep: Path | None = None
    file: Path | None = None
    encoding: Encoding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWork:
    """A step as the engine does it, on local files only."""

    path: Path
    is_source: bool
    source_format: str = ""
    """Of pictures between steps."""
    branches: list[BranchWork]
    on_animated: Literal["first_frame", "reject"] = "first_frame"
    metadata: Literal["strip", "copyright"] = "strip"
    progress: Path
    """Grows by a byte with each part that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the engine has made of one branch."""

    width: int
    height: int
    has_alpha: bool
    format: str | None = None
    size: int = 0
    sha256: str = ""
    quality_used: int | None = None
    placeholder: str | None = None
    blurhash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """What the engine has made of a step."""

    made: list[Made]
    facts: dict[str, Any]
    """Format, size, frames, orientation and profile of a source."""
    warnings: list[str]
    cpu_ms: int
