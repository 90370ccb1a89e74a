"""What can go wrong with a picture; the class names are the codes that people see.

Permanent: the picture, or what was asked of it. Transient: the machine may have been loaded, so
the step is tried once more; the second time it is the picture.
"""

from typing import Final

from jobs.errors import JobError, PermanentError, TransientError


class NotAnImage(PermanentError):
    """The file is no picture: empty, text, a web page, an archive."""


class UnsupportedFormat(PermanentError):
    """The file is a picture of a kind that is not read: HEIC, SVG, PDF, JPEG XL, ..."""


class Truncated(PermanentError):
    """The file is cut off: a part of its pixels is missing."""


class Corrupt(PermanentError):
    """The file is damaged."""


class TooManyPixels(PermanentError):
    """The picture has more pixels than are decoded here."""


class TooManyFrames(PermanentError):
    """The animation or document has more frames or pages than are read here."""


class TooManyScans(PermanentError):
    """The progressive JPEG has more scans than any camera or editor writes."""


class FileTooBig(PermanentError):
    """The file has more bytes than are read here."""


class AnimatedImage(PermanentError):
    """The picture is animated, and the job asked to refuse such pictures."""


class BadOperation(PermanentError):
    """An operation can't be done on this picture, such as a crop outside of it."""


class OutputNotPossible(PermanentError):
    """The format can't hold the result, such as a side over its longest."""


class TargetSizeUnreachable(PermanentError):
    """No quality, and no size if that was allowed, gives so few bytes."""


class WatermarkMissing(PermanentError):
    """There is no object under the key of the watermark's picture."""


class GlyphMissing(PermanentError):
    """The font lacks characters of the watermark's text; they are named."""


class SourceMissing(PermanentError):
    """There is no object under the key of the source."""


class ImageNotFound(PermanentError):
    """The catalogue has no picture of that id, or it belongs to another owner."""


class IntermediateLost(PermanentError):
    """A picture between two steps is gone from storage; the job begins again by itself."""


class SourceNotVisible(TransientError):
    """The remote storage does not show the source (yet)."""


class DecoderTimeout(TransientError):
    """The picture took longer than a step may; its process was killed."""


class DecoderMemory(TransientError):
    """The picture needed more memory than a step may use."""


class DecoderCrash(TransientError):
    """The process that decodes died; only this step was lost."""


class ScratchUnavailable(TransientError):
    """The worker's local disk can't be written: full, or away."""


BY_CODE: Final[dict[str, type[JobError]]] = {
    error.__name__: error
    for error in (
        NotAnImage,
        UnsupportedFormat,
        Truncated,
        Corrupt,
        TooManyPixels,
        TooManyFrames,
        TooManyScans,
        AnimatedImage,
        BadOperation,
        OutputNotPossible,
        TargetSizeUnreachable,
        GlyphMissing,
        DecoderMemory,
        ScratchUnavailable,
    )
}
"""The errors that are found where pictures are decoded, by code."""
