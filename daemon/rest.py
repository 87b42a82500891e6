"""Whether an execution works at the moment or only waits: who waits takes no place from others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta


@dataclass(slots=True)
class Rest:
    """Counts what one execution has in work and what it waits for. *changed* is told when it comes to rest."""

    changed: Callable[[], None]
    _working: int = 0
    _waiting: int = 0

    @property
    def resting(self) -> bool:
        """Whether it waits, and nothing of it works."""
        return self._waiting > 0 and self._working == 0

    @contextmanager
    def work(self) -> Iterator[None]:
        """Something works."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._tell()

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Something waits: for a time, an operator or another execution."""
        self._waiting += 1
        self._tell()
        try:
            yield
        finally:
            self._waiting -= 1

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long; nothing at all if the time is over already."""
        if duration > timedelta(0):
            with self.wait():
                await asyncio.sleep(duration.total_seconds())

    def _tell(self) -> None:
        if self.resting:
            self.changed()
