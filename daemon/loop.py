"""One loop for every agent: a step, repeated when woken or when its time has come, with backoff and an orderly stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog

from tidewaiter.config.errors import TidewaiterError

_log = structlog.get_logger("tidewaiter.loop")

Step = Callable[[], Awaitable[timedelta | None]]
"""One piece of work. Gives how long to wait for the next, None for "until woken"."""

Alarm = Callable[[timedelta, Callable[[], None]], None]
"""Calls back once after a time; a new alarm replaces the one before."""


Crashed = Callable[[BaseException], None]
"""Told of an error nobody foresaw; the daemon ends with it, for the service manager to start it afresh."""


def supervised(work: Coroutine[Any, Any, None], name: str, crashed: Crashed) -> asyncio.Task[None]:
    """Run *work* as a task whose unforeseen end is not overlooked. Being cancelled is not one."""
    task = asyncio.create_task(work, name=name)

    def look(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            crashed(error)

    task.add_done_callback(look)
    return task


class Loop:
    """
    Runs *step* whenever it is woken, alone: steps never overlap, and a wake during a step causes one more after it.

    A step that raises is logged once and tried again after *backoff*, doubled up to *maximum*. An error that is not
    one of ours ends the loop, and *crashed* is told.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        alarm: Alarm,
        *,
        crashed: Crashed = lambda _error: None,
        backoff: timedelta = timedelta(seconds=1),
        maximum: timedelta = timedelta(minutes=1),
    ) -> None:
        self.name = name
        self._step = step
        self._alarm = alarm
        self._crashed = crashed
        self._backoff = backoff
        self._maximum = maximum
        self._wake = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self.stepped = asyncio.Event()

    def start(self) -> None:
        """Begin, with a step at once."""
        self._wake.set()
        self._task = supervised(self._run(), self.name, self._crashed)

    def wake(self) -> None:
        """Ask for a step now, or right after the present one. Carries nothing (design.md §3)."""
        self._wake.set()

    async def stop(self, *, at_once: bool = False) -> None:
        """
        Take no other step and let the present one finish, or with *at_once* break it off. Safe before `start` and
        twice.
        """
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            if at_once:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The running task, None before `start`."""
        return self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if self._stopping:
                return
            self._wake.clear()
            delay = await self._guarded()
            self.stepped.set()
            if delay is not None:
                self._alarm(delay, self.wake)

    async def _guarded(self) -> timedelta | None:
        try:
            delay = await self._step()
        except TidewaiterError as error:
            self._failures += 1
            delay = min(self._backoff * (1 << min(self._failures - 1, 20)), self._maximum)
            _log.error(
                "step_failed", loop=self.name, error=error.message, hint=error.hint, retry_in=delay.total_seconds()
            )
            return delay
        self._failures = 0
        return delay
