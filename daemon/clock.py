"""The alarm clock: APScheduler wakes loops and does nothing else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from tidewaiter.daemon.loop import Alarm


class _Immediate(BaseExecutor):  # type: ignore[misc]
    """Runs a job where the scheduler is, on the event loop: waking a loop only sets a flag."""

    def _do_submit_job(self, job: object, _run_times: object) -> None:
        # Not at once: the scheduler forgets the job after this, also a new one of its name set by the job itself.
        asyncio.get_running_loop().call_soon(job.func)  # type: ignore[attr-defined]
        self._run_job_success(job.id, [])  # type: ignore[attr-defined]


class Clock:
    """
    Alarms by name. One alarm per name: setting it again replaces it. Missed ones ring late rather than never.

    Use as an asynchronous context manager; alarms set before it is entered ring after.
    """

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": _Immediate()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    async def __aenter__(self) -> Self:
        self._scheduler.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scheduler.shutdown(wait=False)

    def alarm(self, name: str) -> Alarm:
        """Give the alarm called *name*."""

        def ring(delay: timedelta, callback: Callable[[], None]) -> None:
            self._scheduler.add_job(callback, DateTrigger(datetime.now(UTC) + delay), id=name, replace_existing=True)

        return ring

    def cancel(self, name: str) -> None:
        """Forget the alarm called *name*; nothing happens if there is none."""
        if self._scheduler.get_job(name) is not None:
            self._scheduler.remove_job(name)
