"""How the child process says no, and what the decoder's exceptions mean.

Everything that a child imports is pure Pillow: no Temporal, no pydantic, none of our contracts, so
that a child starts fast and stays small.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError


class Refusal(Exception):
    """The picture, or what is asked of it, is refused; ``code`` is the error's class name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever a decoder raises into a ``Refusal``; ``what`` names the file in messages.

    The file is local by now. So an ``OSError`` with an ``errno`` is the disk's, and all else is the
    picture's, whatever its class: Pillow raises ``OSError``, ``SyntaxError``, ``ValueError``,
    ``RuntimeError``, ``struct.error`` and more for damaged files.
    """
    try:
        yield
    except Refusal:
        raise
    except MemoryError as error:
        message = f"{what}: decoding needs more memory than a step may use"
        raise Refusal("DecoderMemory", message) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"{what}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller first"
        raise Refusal("TooManyPixels", message) from error
    except UnidentifiedImageError as error:
        raise Refusal("Corrupt", f"{what}: its header is damaged or cut off") from error
    except OSError as error:
        if error.errno is not None:
            message = f"the local disk can't be read: {error.strerror}"
            raise Refusal("ScratchUnavailable", message) from error
        raise _damage(what, error) from error
    except Exception as error:
        raise _damage(what, error) from error


def _damage(what: str, error: Exception) -> Refusal:
    if "truncated" in str(error).lower():
        return Refusal("Truncated", f"{what}: the file is cut off; upload it again")
    return Refusal("Corrupt", f"{what}: the file is damaged ({error})")
