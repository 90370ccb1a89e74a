"""Whether what is told of jobs finds a listener: the collector of traces, the error tracker.

Neither is needed for jobs to be done, so one that is away is no failure of the installation.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from settings import Settings

TIMEOUT_S: Final = 3
DEFECTIVE: Final = 500
"""From this status on an answer is the other side's own fault."""


async def collector(address: str) -> str:
    """Send no spans to the collector, and return who took them.

    Raises:
        OSError: it does not answer, or refuses.
    """
    status = await _answer(address, "application/x-protobuf")
    if status >= 400:  # noqa: PLR2004 - HTTP's own line
        msg = f"answers {status}: traces are dropped; look at OTEL_EXPORTER_OTLP_ENDPOINT"
        raise OSError(msg)
    return f"traces go to {urlsplit(address).netloc.rpartition('@')[2]}"


async def tracker(settings: "Settings") -> str:
    """Knock at the error tracker without an event, and return who answered.

    Raises:
        OSError: it does not answer.
    """
    dsn = urlsplit(settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else "")
    host = dsn.netloc.rpartition("@")[2]
    status = await _answer(f"{dsn.scheme}://{host}/api{dsn.path}/envelope/", "text/plain")
    if status >= DEFECTIVE:
        msg = f"answers {status}: failures are only logged"
        raise OSError(msg)
    return f"final failures go to {host}"


async def _answer(address: str, content: str) -> int:
    import aiohttp

    limits = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as http,
            http.post(address, data=b"", headers={"content-type": content}) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        msg = f"{urlsplit(address).netloc.rpartition('@')[2]} does not answer"
        raise OSError(msg) from error
