"""What an operation may need besides the picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.imaging.reading import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The files and limits of a step, and the warnings that it gathers."""

    marks: Mapping[str, Path]
    """Files of watermark pictures, by key."""
    font: Path
    limits: Limits
    warnings: set[str] = field(default_factory=set)
