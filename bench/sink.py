"""A relay that takes every mail and keeps none: ``python -m bench.sink [--log FILE] [--slow S]``.

With a log it writes a line for each mail as it is taken: when, by the machine's monotonic clock,
and to whom. A slow one takes about so many seconds to answer RCPT and again to answer the message,
which it has taken by then, as relays have that look the recipient up and then write to disk.
"""

import argparse
import asyncio
import random
import time
from functools import partial
from typing import Final, TextIO

from typing_extensions import override

ANSWERS: Final = {
    b"EHLO": b"250-sink\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
END: Final = b"\r\n.\r\n"
TAKEN: Final = b"250 2.0.0 ok\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, log: TextIO | None = None, slow_s: float = 0) -> None:
        self._log = log
        self._slow_s = slow_s
        self._seen = b""
        self._in_message = False
        self._recipient = ""

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
            if self._in_message:
                self._take()
            elif verb == b"RCPT":
                self._recipient = head.partition(b"<")[2].partition(b">")[0].decode()
                self._answer(b"250 ok\r\n", self._slow_s)
            else:
                self._answer(ANSWERS.get(verb, b"250 ok\r\n"))
            self._in_message = not self._in_message and verb == b"DATA"

    def _take(self) -> None:
        if self._log is not None:
            self._log.write(f"{time.monotonic():.6f} {self._recipient}\n")
            self._log.flush()
        self._answer(TAKEN, self._slow_s)

    def _answer(self, line: bytes, after_s: float = 0) -> None:
        if after_s:
            after_s *= random.uniform(0.5, 1.5)  # noqa: S311 (so that mails are not in step)
            asyncio.get_running_loop().call_later(after_s, self._transport.write, line)
        else:
            self._transport.write(line)


async def main() -> None:
    """Serve until killed; print the port."""
    parser = argparse.ArgumentParser(prog="bench.sink")
    parser.add_argument("--log", type=argparse.FileType("a"))
    parser.add_argument("--slow", type=float, default=0)
    options = parser.parse_args()
    connection = partial(Sink, options.log, options.slow)
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
