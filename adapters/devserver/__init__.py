"""The embedded Temporal server: the ``temporal`` binary on a database file in the data folder.

One server per data folder. An exclusive ``flock`` on ``temporal/lock`` is taken before the server
starts and is inherited by it, so the lock is held exactly as long as the server lives, whatever
becomes of the process that started it. ``temporal/server.json`` tells others where it listens and
is trusted only while the lock is held; a file left by ``kill -9`` is seen to be stale.

The server dies with its parent (Linux: parent-death signal; elsewhere it lives on and the next
command joins it). The signal follows the *thread* that started it: call ``ensure`` in the main one.

Importing this package is cheap: it brings neither pydantic nor the Temporal SDK.
"""

from adapters.devserver.files import DevServer, running
from adapters.devserver.process import DEFAULT_PORT, DevServerError, find_binary, listening
from adapters.devserver.server import EmbeddedServer, ensure

__all__ = [
    "DEFAULT_PORT",
    "DevServer",
    "DevServerError",
    "EmbeddedServer",
    "ensure",
    "find_binary",
    "listening",
    "running",
]
