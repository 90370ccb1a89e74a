"""What an image job takes and gives."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jobs.base import Contract, Identifier, StoredFile
from jobs.images.operations import Operation, Output, check_operations

MAIN: str = "main"
"""Name of the file that ``operations`` make; variants have names of their own."""


class Variant(Contract):
    """One more file from the same decoded picture: a thumbnail, a 2x, a WebP sibling."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["thumb"])]
    start: Literal["result", "source"] = "result"
    """The picture it begins with: the job's result before it was encoded, or the upright source."""
    operations: list[Operation] = Field(default_factory=list, max_length=20)
    output: Output = Output()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        check_operations(self.operations, self.output)
        return self


class ImageJob(Contract):
    """One picture to process."""

    source: StoredFile | None = None
    """The stored picture; ``starter.py`` uploads ``source=@path``."""
    image_id: Identifier | None = None
    """A picture of the catalogue, instead of ``source``."""
    operations: list[Operation] = Field(min_length=1, max_length=20)
    """In this order; ``compress`` and ``convert`` always take effect at the end."""
    output: Output = Output()
    variants: list[Variant] = Field(default_factory=list, max_length=10)
    on_animated: Literal["first_frame", "reject"] = "first_frame"
    """What is done with an animation or a document of several pages."""
    metadata: Literal["strip", "copyright"] = "strip"
    """``copyright`` keeps the Exif fields Copyright and Artist. All else always goes, also GPS."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.source is None) == (self.image_id is None):
            msg = "give either source or image_id"
            raise ValueError(msg)
        check_operations(self.operations, self.output)
        names = [MAIN, *(variant.name for variant in self.variants)]
        for name in names:
            if names.count(name) > 1:
                msg = f"there is more than one file {name!r}; give each variant its own name"
                raise ValueError(msg)
        return self


class ImageFile(Contract):
    """One file that the job made."""

    name: str
    """``main``, or the variant's name."""
    key: str
    """Where it is in storage."""
    width: int
    height: int
    format: str
    bytes: int
    sha256: str
    mime: str
    has_alpha: bool
    quality_used: int | None = None
    """Null where the format has no quality."""


class SourceFacts(Contract):
    """What the source was, before anything was done to it."""

    format: str
    width: int
    """As a person sees it, upright."""
    height: int
    bytes: int
    sha256: str
    frames: int
    """Frames or pages; only the first is used."""
    orientation: int
    """Exif, 1 to 8."""
    had_icc: bool
    had_gps: bool


class StepTime(Contract):
    """What one step cost."""

    name: str
    ms: int
    cpu_ms: int


class ImageResult(Contract):
    """What an image job made."""

    files: list[ImageFile]
    placeholder: str
    """A preview of about 100 bytes as a data URI, to show while the picture loads."""
    blurhash: str = ""
    """The same as a BlurHash, for clients that draw it themselves."""
    warnings: list[str]
    """``animation_dropped``, ``icc_ignored``, ``not_enlarged``, ``downscaled``,
    ``quality_not_applicable``, ``watermark_shrunk``."""
    source: SourceFacts
    saved_percent: float
    """How much smaller the main file is than the source; negative if it is larger."""
    steps: list[StepTime]
