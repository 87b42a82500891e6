"""Alarms by name."""

import asyncio
from datetime import timedelta

from workshop.builders import until

from tidewaiter.daemon.clock import Clock

SOON = timedelta(milliseconds=10)
NEVER = timedelta(hours=1)


async def test_an_alarm_rings_once_not_before_its_time() -> None:
    """It calls back on the event loop."""
    async with Clock() as clock:
        rang = asyncio.Event()
        started = asyncio.get_running_loop().time()
        clock.alarm("a")(timedelta(milliseconds=50), rang.set)
        await asyncio.wait_for(rang.wait(), 10)
        assert asyncio.get_running_loop().time() - started >= 0.045


async def test_a_new_alarm_replaces_the_one_before() -> None:
    """There is one alarm per name."""
    rang: list[str] = []
    async with Clock() as clock:
        alarm = clock.alarm("a")
        alarm(SOON, lambda: rang.append("first"))
        alarm(2 * SOON, lambda: rang.append("second"))
        await until(lambda: rang)
    assert rang == ["second"]


async def test_alarms_of_other_names_do_not_matter() -> None:
    """Each rings for itself."""
    rang: list[str] = []
    async with Clock() as clock:
        for name in ("a", "b"):
            clock.alarm(name)(SOON, lambda name=name: rang.append(name))  # type: ignore[misc] # bound per name
        await until(lambda: len(rang) == 2)


async def test_an_alarm_can_be_cancelled() -> None:
    """Nothing rings; cancelling what is not set is fine."""
    rang: list[str] = []
    async with Clock() as clock:
        clock.alarm("a")(SOON, lambda: rang.append("a"))
        clock.cancel("a")
        clock.cancel("never set")
        clock.alarm("b")(3 * SOON, lambda: rang.append("b"))
        await until(lambda: rang)
    assert rang == ["b"]


async def test_an_alarm_set_before_the_start_rings_after_it() -> None:
    """Nothing set early is lost."""
    clock, rang = Clock(), asyncio.Event()
    clock.alarm("a")(SOON, rang.set)
    async with clock:
        await asyncio.wait_for(rang.wait(), 10)


async def test_an_alarm_in_the_past_rings_at_once() -> None:
    """Late rather than never."""
    async with Clock() as clock:
        rang = asyncio.Event()
        clock.alarm("a")(-NEVER, rang.set)
        await asyncio.wait_for(rang.wait(), 10)


async def test_an_alarm_may_set_itself_again() -> None:
    """A loop asks for its next step from within."""
    rang: list[int] = []
    async with Clock() as clock:

        def again() -> None:
            rang.append(1)
            if len(rang) < 3:
                clock.alarm("a")(SOON, again)

        again()
        await until(lambda: len(rang) == 3)


async def test_nothing_rings_after_the_end() -> None:
    """Leaving the clock forgets its alarms, also those that are due."""
    rang: list[int] = []
    async with Clock() as clock:
        clock.alarm("a")(-NEVER, lambda: rang.append(1))
    await asyncio.sleep(5 * SOON.total_seconds())
    assert rang == []
