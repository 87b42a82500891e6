"""One step at a time, when woken or when it is time, with backoff and an orderly stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from workshop.builders import until

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.loop import Loop


@dataclass
class Alarms:
    """Keeps the alarms it is asked for; `ring` lets the last one ring."""

    delays: list[timedelta] = field(default_factory=list)
    callback: Callable[[], None] | None = None

    def __call__(self, delay: timedelta, callback: Callable[[], None]) -> None:
        self.delays.append(delay)
        self.callback = callback

    def ring(self) -> None:
        assert self.callback
        self.callback()


@dataclass
class Work:
    """A step that counts itself and waits until it may end."""

    delay: timedelta | None = None
    errors: list[BaseException] = field(default_factory=list)
    steps: int = 0
    inside: int = 0
    most: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> timedelta | None:
        self.steps += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.gate.wait()
        self.inside -= 1
        if self.errors:
            raise self.errors.pop(0)
        return self.delay


@pytest.fixture
def work() -> Work:
    made = Work()
    made.gate.set()
    return made


@pytest.fixture
def alarms() -> Alarms:
    return Alarms()


async def test_it_begins_with_a_step(work: Work, alarms: Alarms) -> None:
    """Nobody has to wake it the first time."""
    loop = Loop("x", work.step, alarms)
    loop.start()
    await asyncio.wait_for(loop.stepped.wait(), 10)
    await loop.stop()
    assert (work.steps, alarms.delays) == (1, [])


async def test_it_steps_again_when_woken(work: Work, alarms: Alarms) -> None:
    """A wake asks for a step now."""
    loop = Loop("x", work.step, alarms)
    loop.start()
    for number in range(1, 4):
        await until(lambda number=number: work.steps == number)
        loop.wake()
    await loop.stop()


async def test_it_steps_again_when_its_time_has_come(alarms: Alarms) -> None:
    """A step says how long to wait for the next."""
    work = Work(delay=timedelta(seconds=7))
    work.gate.set()
    loop = Loop("x", work.step, alarms)
    loop.start()
    await until(lambda: alarms.delays)
    alarms.ring()
    await until(lambda: work.steps == 2)
    await loop.stop()
    assert set(alarms.delays) == {timedelta(seconds=7)}


async def test_wakes_during_a_step_cause_exactly_one_more(alarms: Alarms) -> None:
    """Steps never overlap, and no wake is forgotten."""
    work = Work()
    loop = Loop("x", work.step, alarms)
    loop.start()
    await until(lambda: work.inside)
    for _ in range(5):
        loop.wake()
    work.gate.set()
    await until(lambda: work.steps == 2)
    await asyncio.sleep(0)
    await loop.stop()
    assert (work.steps, work.most) == (2, 1)


async def test_failures_back_off_up_to_a_maximum(work: Work, alarms: Alarms) -> None:
    """Waiting doubles with each failure in a row, and starts anew after a success."""
    work.errors = [TidewaiterError("no")] * 5
    loop = Loop("x", work.step, alarms, backoff=timedelta(seconds=1), maximum=timedelta(seconds=5))
    loop.start()
    for number in range(1, 8):
        await until(lambda number=number: work.steps == number)
        if number == 6:
            work.errors = [TidewaiterError("again")]
        loop.wake()
    await loop.stop()
    assert [delay.total_seconds() for delay in alarms.delays] == [1, 2, 4, 5, 5, 1]


async def test_very_many_failures_do_not_overflow(work: Work, alarms: Alarms) -> None:
    """A store may be away for weeks."""
    work.errors = [TidewaiterError("no")] * 100
    loop = Loop("x", work.step, alarms, backoff=timedelta(seconds=1), maximum=timedelta(minutes=5))
    loop.start()
    for number in range(1, 100):
        await until(lambda number=number: work.steps == number)
        loop.wake()
    await loop.stop()
    assert max(alarms.delays) == timedelta(minutes=5)


async def test_an_unforeseen_error_ends_it_and_is_told(work: Work, alarms: Alarms) -> None:
    """It is not passed over: the daemon ends with it."""
    error = ValueError("nobody thought of this")
    work.errors = [error]
    crashes: list[BaseException] = []
    loop = Loop("x", work.step, alarms, crashed=crashes.append)
    loop.start()
    await until(lambda: crashes)
    loop.wake()
    await loop.stop()
    assert (crashes, work.steps) == ([error], 1)


async def test_stopping_waits_for_the_present_step(alarms: Alarms) -> None:
    """A step is never cut short by an orderly stop, and none follows."""
    work = Work()
    loop = Loop("x", work.step, alarms)
    loop.start()
    await until(lambda: work.inside)
    stopping = asyncio.create_task(loop.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    work.gate.set()
    await stopping
    loop.wake()
    await asyncio.sleep(0)
    assert (work.steps, work.inside) == (1, 0)


async def test_stopping_at_once_breaks_the_step_off(alarms: Alarms) -> None:
    """Where the step can go on from its record, nobody waits for it; it is no crash."""
    crashes: list[BaseException] = []
    work = Work()
    loop = Loop("x", work.step, alarms, crashed=crashes.append)
    loop.start()
    await until(lambda: work.inside)
    await asyncio.wait_for(loop.stop(at_once=True), 10)
    assert (loop.task is not None and loop.task.cancelled(), crashes) == (True, [])


async def test_stop_before_start_and_twice_is_fine(work: Work, alarms: Alarms) -> None:
    """It never steps; neither call hangs."""
    loop = Loop("x", work.step, alarms)
    await loop.stop()
    loop.start()
    await loop.stop()
    await loop.stop()
    assert work.steps == 0


async def test_starting_and_stopping_in_a_storm() -> None:
    """Fifty loops, ten times: every one ends, no two steps of one overlap, nothing is left running."""
    for _ in range(10):
        works = [Work() for _ in range(50)]
        loops = [Loop(str(number), work.step, Alarms()) for number, work in enumerate(works)]
        for number, (loop, work) in enumerate(zip(loops, works, strict=True)):
            work.gate.set()
            loop.start()
            if number % 3 == 0:
                loop.wake()
            if number % 2 == 0:
                await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*(loop.stop() for loop in loops)), 10)
        assert all(loop.task is not None and loop.task.done() for loop in loops)
        assert max(work.most for work in works) <= 1
