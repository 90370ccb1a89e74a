"""A relay that takes every mail and keeps none: ``python -m bench.sink``."""

import asyncio
from typing import Final

from typing_extensions import override

ANSWERS: Final = {
    b"EHLO": b"250-sink\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
END: Final = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._seen = b""
        self._in_message = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what TCP servers hand over)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (mark := END if self._in_message else b"\r\n") in self._seen:
            head, _, self._seen = self._seen.partition(mark)
            verb = head[:4].upper()
            answer = b"250 2.0.0 ok\r\n" if self._in_message else ANSWERS.get(verb, b"250 ok\r\n")
            self._in_message = not self._in_message and verb == b"DATA"
            self._transport.write(answer)


async def main() -> None:
    """Serve until killed; print the port."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
