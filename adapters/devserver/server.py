"""Joining or starting the embedded server, and keeping it."""

import asyncio
import subprocess
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

from adapters.devserver.files import DevServer, ServerFiles, running
from adapters.devserver.process import (
    DEFAULT_PORT,
    DevServerError,
    choose_ports,
    end,
    find_binary,
    listening,
    spawn,
)

if TYPE_CHECKING:
    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.client import Client
    from temporalio.runtime import Runtime

NAMESPACE: Final = "default"
PORT_TRIES: Final = 5
STOP_GRACE_S: Final = 10
LEAST_RETENTION: Final = timedelta(days=7)
CALL_TIMEOUT: Final = timedelta(seconds=5)


class PortTakenError(DevServerError):
    """Another process took the port between choosing and binding it."""


class EmbeddedServer:
    """A server that this process has started or joined; ``async with`` stops an owned one."""

    def __init__(
        self, data_dir: Path, server: DevServer, process: subprocess.Popen[bytes] | None
    ) -> None:
        self.server = server
        self._data_dir = data_dir
        self._process = process

    @property
    def owned(self) -> bool:
        """Whether this process started the server, and so stops it."""
        return self._process is not None

    async def keep_alive(self) -> None:
        """Start an owned server anew, at the same address, whenever it dies.

        Runs until cancelled or until ``stop``. Jobs go on where they were: the file holds
        everything that was acknowledged.

        Raises:
            DevServerError: the server does not come up again, or not at its address.
        """
        while process := self._process:
            await asyncio.to_thread(process.wait)
            if not self.owned:
                return
            again = await ensure(self._data_dir, port=self.server.port)
            if again.server.address != self.server.address:
                await again.stop()
                msg = (
                    f"the embedded Temporal server died, and {self.server.address} was taken "
                    "before it came back: start this command again"
                )
                raise DevServerError(msg)
            self.server, self._process = again.server, again._process

    async def stop(self) -> None:
        """End an owned server; one that was joined goes on."""
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(end, process, STOP_GRACE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


async def ensure(
    data_dir: Path,
    *,
    port: int = DEFAULT_PORT,
    ready_timeout_s: float = 120,
    runtime: "Runtime | None" = None,
) -> EmbeddedServer:
    """Join the server of ``data_dir``, or start one and wait until it takes requests.

    Args:
        data_dir: Holds the server's file; a temporary folder gives a private, throw-away server.
        port: Taken when it is free, else any free one; 0 for any. The Web UI listens 1000 higher
            where that is free. A server that ran in ``data_dir`` before gets its old port first.
        ready_timeout_s: How long to wait for an answer.
        runtime: The SDK's runtime to connect with; by default the process's own.

    Raises:
        DevServerError: there is no server for this platform, it does not start, or another process
            holds the folder and its server does not answer.
    """
    files = ServerFiles.of(data_dir)
    deadline = time.monotonic() + ready_timeout_s
    find_binary()
    _make_folder(files)
    while True:
        with files.locked() as lock:
            if lock is not None:
                process, server = await _start(files, lock, port, deadline, runtime)
                return EmbeddedServer(data_dir, server, process)
        other = running(data_dir)
        if other is not None and await _connect(other, runtime):
            return EmbeddedServer(data_dir, other, None)
        if time.monotonic() > deadline:
            msg = (
                f"another process holds {files.lock}, but its Temporal server does not answer; "
                f"its log is {files.log}. End that process and try again"
            )
            raise DevServerError(msg)
        await asyncio.sleep(0.1)


def _make_folder(files: ServerFiles) -> None:
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
        files.folder.chmod(0o700)  # the database holds every input
    except OSError as error:
        msg = f"{files.folder} can't be used for the Temporal server: {error.strerror}"
        raise DevServerError(msg) from None


async def _start(
    files: ServerFiles, lock: int, port: int, deadline: float, runtime: "Runtime | None"
) -> tuple[subprocess.Popen[bytes], DevServer]:
    previous = files.read_state()
    files.state.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        files.log.replace(files.log.with_suffix(".log.1"))
    wanted = [previous.port, port] if previous and port else [port] if port else []
    for _ in range(PORT_TRIES):
        process, server = spawn(files, lock, *choose_ports(wanted))
        try:
            await _until_ready(process, server, files, deadline, runtime)
            files.write_state(server)
        except PortTakenError:
            wanted = []
        except BaseException:
            end(process, 0)
            raise
        else:
            return process, server
    msg = f"no free port for the embedded Temporal server in {PORT_TRIES} tries.\n"
    raise DevServerError(msg + files.log_tail())


async def _until_ready(
    process: subprocess.Popen[bytes],
    server: DevServer,
    files: ServerFiles,
    deadline: float,
    runtime: "Runtime | None",
) -> None:
    while process.poll() is None:
        client = await _connect(server, runtime)
        if client is not None and await _prepare(client) and process.poll() is None:
            return
        if time.monotonic() > deadline:
            msg = f"the embedded Temporal server did not answer in time.\n{files.log_tail()}"
            raise DevServerError(msg)
        await asyncio.sleep(0.05)
    if "address already in use" in files.log_text():
        raise PortTakenError(files.log_tail())
    msg = f"the embedded Temporal server ended with status {process.returncode}.\n"
    raise DevServerError(msg + files.log_tail())


async def _connect(server: DevServer, runtime: "Runtime | None") -> "Client | None":
    """Return a client when the server takes requests, else None."""
    from temporalio.client import Client

    if not listening(server.address):  # spares the SDK's warnings about a refused connection
        return None
    with suppress(RuntimeError, TimeoutError):  # "Frontend is not healthy yet" is a RuntimeError
        async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
            return await Client.connect(server.address, namespace=NAMESPACE, runtime=runtime)
    return None


async def _prepare(client: "Client") -> bool:
    """Bring the namespace to what jobs need; False while the server is not ready for it.

    The server registers search attributes when it makes a new file, but not when it opens one that
    an older release has made.
    """
    from temporalio.api.operatorservice.v1 import (
        AddSearchAttributesRequest,
        ListSearchAttributesRequest,
    )
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
    from temporalio.service import RPCError

    from jobs.attributes import ALL

    try:
        namespace = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=NAMESPACE), timeout=CALL_TIMEOUT
        )
        if namespace.config.workflow_execution_retention_ttl.ToTimedelta() < LEAST_RETENTION:
            longer = UpdateNamespaceRequest(namespace=NAMESPACE)
            longer.config.workflow_execution_retention_ttl.FromTimedelta(LEAST_RETENTION)
            await client.workflow_service.update_namespace(longer, timeout=CALL_TIMEOUT)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=NAMESPACE), timeout=CALL_TIMEOUT
        )
        missing = [key for key in ALL if key.name not in known.custom_attributes]
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=NAMESPACE,
                    search_attributes={
                        key.name: cast("IndexedValueType.ValueType", int(key.indexed_value_type))
                        for key in missing
                    },
                ),
                timeout=CALL_TIMEOUT,
            )
    except RPCError:
        return False
    return True
