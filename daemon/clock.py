"""The alarm clock: APScheduler wakes loops and does nothing else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from tidewaiter.daemon.loop import Alarm

_FAR = timedelta(days=36_500)


class _Immediate(BaseExecutor):  # type: ignore[misc]
    """Runs a job where the scheduler is, on the event loop: waking a loop only sets a flag."""

    def _do_submit_job(self, job: Job, _run_times: object) -> None:
        # Not at once: the scheduler sets the job's next time after this, over one that the job itself set.
        asyncio.get_running_loop().call_soon(job.func)
        self._run_job_success(job.id, [])


class _WhenTold(BaseTrigger):  # type: ignore[misc]
    """Never rings by itself; each ring is set on the job. A job that had no next time would be forgotten."""

    def get_next_fire_time(self, _previous: datetime | None, present: datetime) -> datetime:
        return present + _FAR


class Clock:
    """
    Alarms by name. One alarm per name: setting it again replaces it. Missed ones ring late rather than never.

    Each name is one job for good: moving a job costs a fraction of adding one, and an idle trigger does it each second.
    Use as an asynchronous context manager; alarms set before it is entered ring after.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, Callable[[], None]] = {}
        self._jobs: dict[str, Job] = {}
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
        # The scheduler ends at the next turn of the event loop; nothing may ring in that one.
        self._callbacks.clear()
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=False)

    def alarm(self, name: str) -> Alarm:
        """Give the alarm called *name*."""

        def ring(delay: timedelta, callback: Callable[[], None]) -> None:
            self._callbacks[name] = callback
            when = datetime.now(UTC) + delay
            if name in self._jobs:
                self._jobs[name].modify(next_run_time=when)
            else:
                self._jobs[name] = self._scheduler.add_job(
                    lambda: self._call(name), _WhenTold(), id=name, next_run_time=when
                )

        return ring

    def cancel(self, name: str) -> None:
        """Forget the alarm called *name*; nothing happens if there is none."""
        self._callbacks.pop(name, None)
        if name in self._jobs:
            self._jobs.pop(name).remove()

    def _call(self, name: str) -> None:
        callback = self._callbacks.get(name)
        if callback is not None:
            callback()
