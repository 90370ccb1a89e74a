"""The connection to Temporal, and its failures in our words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from temporalio.client import Client, Interceptor
from temporalio.converter import PayloadCodec
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.exceptions import TemporalError
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from jobs.converter import data_converter
from jobs.errors import JobNotFoundError, ServerUnreachableError

DEFAULT_ADDRESS: Final = "localhost:7233"
CONNECT_TIMEOUT: Final = timedelta(seconds=10)
RPC_TIMEOUT: Final = timedelta(seconds=20)
"""For each call; none of ours waits for a worker."""

UNREACHABLE: Final = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}


def configured_address() -> str | None:
    """Return the address that ``TEMPORAL_ADDRESS`` or a profile names, if any."""
    return _configuration().get("target_host")


async def connect(
    *,
    address: str | None = None,
    fallback_address: str = DEFAULT_ADDRESS,
    runtime: Runtime | None = None,
    identity: str | None = None,
    lazy: bool = False,
    codec: PayloadCodec | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """Connect as the ``TEMPORAL_*`` variables say, or else to ``fallback_address``.

    Args:
        address: Connect there and leave the variables aside.
        fallback_address: Where to connect when the variables name no address.
        runtime: The SDK's runtime; by default the process's own.
        identity: Name of this client in the Web UI; by default process id and host.
        lazy: Connect with the first call, so that a server that is away now is no error yet.
        codec: What encrypts payloads, ``adapters.codec.open_codec(settings.encryption)``.
        interceptors: What sees every call; those of workers are handed on to them.

    Raises:
        ServerUnreachableError: nothing answers there, or the settings of the connection are wrong.
    """
    config: ClientConnectConfig = {"target_host": address} if address else _configuration()
    config.setdefault("target_host", fallback_address)
    try:
        return await Client.connect(
            **config,
            data_converter=data_converter(codec),
            runtime=runtime,
            identity=identity,
            lazy=lazy,
            connect_timeout=CONNECT_TIMEOUT,
            interceptors=interceptors,
        )
    except RuntimeError:
        msg = (
            f"no Temporal server answers at {config['target_host']}: start one with "
            "`python worker.py`, or set TEMPORAL_ADDRESS"
        )
        raise ServerUnreachableError(msg) from None


def _configuration() -> ClientConnectConfig:
    try:
        return ClientConfig.load_client_connect_config()
    except (OSError, ValueError, RuntimeError, TemporalError) as error:
        msg = f"the TEMPORAL_* settings can't be used: {error}"
        raise ServerUnreachableError(msg) from None


@contextmanager
def translated_errors(job_id: str = "") -> Iterator[None]:
    """Turn what the SDK raises about a job or the server into errors of ``jobs.errors``."""
    try:
        yield
    except RPCError as error:
        if error.status in UNREACHABLE:
            msg = f"the Temporal server does not answer: {error.message}"
            raise ServerUnreachableError(msg) from None
        if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            msg = f"the Temporal server has too much to do, try again: {error.message}"
            raise ServerUnreachableError(msg) from None
        if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
            raise JobNotFoundError(job_id) from None
        raise
    except RuntimeError as error:
        if "client connect" not in str(error):
            raise
        msg = "no Temporal server answers"
        raise ServerUnreachableError(msg) from None
