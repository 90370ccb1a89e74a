"""How child processes start: forked from a small server, without the parent's main module.

Python imports the parent's main module into every child it starts. Ours, ``worker.py``, imports
Temporal and the database, which a child must not carry: it would start ten times slower and be
three times as large.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from threading import Lock
from types import ModuleType
from typing import Final

from typing_extensions import override

_swapping: Final = Lock()


@contextmanager
def _without_main() -> Iterator[None]:
    with _swapping:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class _BarePopen(Popen):
    def _launch(self, process_obj: BaseProcess) -> None:
        with _without_main():
            super()._launch(process_obj)  # type: ignore[misc]  # typeshed doesn't know it


class _BareProcess(ForkServerProcess):
    @staticmethod
    @override
    def _Popen(process_obj: BaseProcess) -> Popen:
        return _BarePopen(process_obj)


class BareContext(ForkServerContext):
    """The forkserver context, for functions that are importable without the main module."""

    Process = _BareProcess
