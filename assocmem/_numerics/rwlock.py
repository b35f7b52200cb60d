"""A lock that many readers share and one writer has alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager


class _Held:
    """What a lock gives to be held: entered and left many times."""

    def __init__(self, take: Callable[[], None], give: Callable[[], None]) -> None:
        self._take, self._give = take, give

    def __enter__(self) -> None:
        self._take()

    def __exit__(self, *_: object) -> None:
        self._give()


class SharedLock:
    """Readers together, writers alone; a waiting writer goes before new readers, so that it is not kept waiting.

    Not to be asked for again by the thread that holds it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0
        self._shared = _Held(self._start_reading, self._stop_reading)
        self._alone = _Held(self._start_writing, self._stop_writing)

    def reading(self) -> AbstractContextManager[None]:
        """Hold it with other readers."""
        return self._shared

    def writing(self) -> AbstractContextManager[None]:
        """Hold it alone."""
        return self._alone

    def _start_reading(self) -> None:
        with self._changed:
            while self._writing or self._waiting:
                self._changed.wait()
            self._readers += 1

    def _stop_reading(self) -> None:
        with self._changed:
            self._readers -= 1
            if not self._readers:
                self._changed.notify_all()

    def _start_writing(self) -> None:
        with self._changed:
            self._waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
            finally:
                self._waiting -= 1
            self._writing = True

    def _stop_writing(self) -> None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
