"""One step of an image job as a child process does it: local files in, local files out."""

import hashlib
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFile

from adapters.imaging import changes, reading, writing
from adapters.imaging.refusal import Refusal
from adapters.imaging.surroundings import Surroundings

MAIN: Final = "main"
"""The file of which a placeholder is made."""

_state: dict[str, Any] = {}


def start(font: str, pixels: int, memory: int) -> None:
    """Prepare a fresh child process.

    SIGTERM gets its default effect back: a Python handler would never run while a C decoder does,
    and the child would live on until it is killed. What decoders print goes nowhere: a damaged TIFF
    alone can fill a log.
    """
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stderr.fileno())
    os.close(quiet)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    _state["font"] = Path(font)
    _state["limits"] = reading.Limits(pixels=pixels)


def warm(pause_s: float) -> None:
    """Do nothing for a moment, so that each of several children is started."""
    time.sleep(pause_s)


def run(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do one step; return what was made, or the code and text of the refusal."""
    began = time.process_time()
    try:
        done = _run(task)
    except Refusal as refusal:
        return {"code": refusal.code, "message": refusal.message}
    except MemoryError:
        message = "the operation needs more memory than a step may use"
        return {"code": "DecoderMemory", "message": message}
    return {**done, "cpu_ms": round(1000 * (time.process_time() - began))}


def _run(task: Mapping[str, Any]) -> dict[str, Any]:
    tell = Path(task["progress"])
    if task["is_source"]:
        return _run_on_source(task, tell)
    image, credit = writing.reopen(Path(task["path"]))
    _tell(tell)
    warned: set[str] = set()
    made = []
    for branch in task["branches"]:
        result = _change(_own(image, image, task), branch["changes"], branch, warned)
        made.append(_write(result, branch, task["source_format"], credit, warned))
        _tell(tell)
    return {"made": made, "facts": {}, "warnings": sorted(warned)}


def _run_on_source(task: Mapping[str, Any], tell: Path) -> dict[str, Any]:
    opened = reading.open_source(
        Path(task["path"]), _state["limits"], on_animated=task["on_animated"]
    )
    credit = opened.credit if task["metadata"] == "copyright" else {}
    firsts = [_leading_resize(branch) for branch in task["branches"]]
    if None not in firsts:
        reading.draft(opened, [first for first in firsts if first is not None])
    image = reading.load(opened)
    _tell(tell)
    made = []
    for branch, first in zip(task["branches"], firsts, strict=True):
        if first is None:
            result = reading.finish(image, opened)
        else:
            around = _around(branch, opened.warnings)
            result = changes.resize_stored(image, opened, first, around)
        rest = branch["changes"][first is not None :]
        result = _change(_own(result, image, task), rest, branch, opened.warnings)
        made.append(_write(result, branch, opened.facts["format"], credit, opened.warnings))
        _tell(tell)
    return {"made": made, "facts": opened.facts, "warnings": sorted(opened.warnings)}


def _leading_resize(branch: Mapping[str, Any]) -> Mapping[str, Any] | None:
    first = next(iter(branch["changes"]), None)
    return first if first is not None and first["type"] == "resize" else None


def _own(result: Image.Image, shared: Image.Image, task: Mapping[str, Any]) -> Image.Image:
    """Return ``result`` for one branch to draw into; others may need ``shared`` as it is."""
    return result.copy() if result is shared and len(task["branches"]) > 1 else result


def _change(
    image: Image.Image,
    operations: list[Mapping[str, Any]],
    branch: Mapping[str, Any],
    warned: set[str],
) -> Image.Image:
    around = _around(branch, warned)
    for operation in operations:
        image = changes.apply(image, operation, around)
    return image


def _around(branch: Mapping[str, Any], warned: set[str]) -> Surroundings:
    return Surroundings(
        marks={key: Path(path) for key, path in branch["marks"].items()},
        font=_state["font"],
        limits=_state["limits"],
        warnings=warned,
    )


def _write(
    image: Image.Image,
    branch: Mapping[str, Any],
    source_format: str,
    credit: Mapping[int, str],
    warned: set[str],
) -> dict[str, Any]:
    if isinstance(image, ImageFile.ImageFile):
        image = image.copy()  # unchanged: a writer would find tags of the source in it
    image.info.clear()
    made: dict[str, Any] = {
        "width": image.width,
        "height": image.height,
        "has_alpha": "A" in image.getbands(),
    }
    if branch["keep"] is not None:
        writing.keep(image, Path(branch["keep"]), credit)
    if branch["file"] is None:
        return made
    encoding = branch["encoding"]
    encoded = writing.encode(
        image, encoding["output"], encoding["compress"], source_format=source_format, credit=credit
    )
    warned |= encoded.warnings
    Path(branch["file"]).write_bytes(encoded.data)
    return {
        "width": encoded.width,
        "height": encoded.height,
        "has_alpha": encoded.has_alpha,
        "format": encoded.format,
        "size": len(encoded.data),
        "sha256": hashlib.sha256(encoded.data).hexdigest(),
        "quality_used": encoded.quality,
        **(_previews(image) if encoding["name"] == MAIN else {}),
    }


def _previews(image: Image.Image) -> dict[str, str]:
    small = writing.thumbnail(image)
    return {"placeholder": writing.data_uri(small), "blurhash": writing.blurhash(small)}


def _tell(progress: Path) -> None:
    """Let the parent see that one more part is done."""
    with progress.open("ab") as file:
        file.write(b".")
