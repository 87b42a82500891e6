"""What schedules and Flow triggers write: all of a step, or nothing."""

from datetime import UTC, datetime

import pytest
from workshop.duties import Office

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.announcements import Consequence
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.records import ExecutionState, TriggerKey

KEY = TriggerKey("harbour", "tide", "s")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
UNWRITABLE = Launch(KEY, "", 1, inputs={"a": object()})
WRITABLE = Launch(KEY, "", 1, variables={})


async def test_a_date_is_not_reached_without_its_execution(journal: Journal) -> None:
    """Where the execution cannot be created, the schedule stays where it was."""
    await journal.schedules.begin(KEY, "@daily UTC", NOON.replace(hour=0))
    with pytest.raises(TypeError):
        await journal.schedules.hand_out(KEY, NOON, UNWRITABLE)
    assert (await journal.schedules.reached())[KEY].last == NOON.replace(hour=0)
    assert await journal.schedules.hand_out(KEY, NOON, WRITABLE)
    assert await journal.schedules.live(KEY) == 1


async def test_nothing_is_announced_without_what_follows(journal: Journal, expressions: Expressions) -> None:
    """Where one of the executions cannot be created, none is, nothing counts as met, and it is announced again."""
    await Office(journal, expressions).ended("ebb")
    [news] = await journal.announcements.pending(10)
    good, bad = Consequence(KEY, [("r", "p")], WRITABLE), Consequence(TriggerKey("a", "b", "c"), (), UNWRITABLE)
    with pytest.raises(TypeError):
        await journal.announcements.announce(news, [good, bad])
    assert await journal.announcements.met(KEY) == []
    assert await journal.announcements.pending(10) == [news]
    assert len(await journal.announcements.announce(news, [good])) == 1
    assert await journal.announcements.announce(news, [good]) == []


async def test_a_pause_and_an_end_are_two_announcements(journal: Journal) -> None:
    """Each state once; a restart in between changes nothing."""
    execution = await journal.executions.create(WRITABLE)
    await journal.executions.start(execution)
    await journal.executions.pause(execution.id, None)
    for state in ("PAUSED", "SUCCESS"):
        [news] = await journal.announcements.pending(10)
        assert news.state == state
        await journal.announcements.announce(news, [])
        assert await journal.announcements.pending(10) == []
        await journal.executions.end(execution.id, ExecutionState.SUCCESS)


async def test_the_depth_goes_through_subflows(journal: Journal, expressions: Expressions) -> None:
    """An execution that a task starts is as deep as the one it is started by: no way around the limit of a circle."""
    await Office(journal, expressions).ended("ebb")
    [news] = await journal.announcements.pending(10)
    [parent] = await journal.announcements.announce(news, [Consequence(KEY, (), WRITABLE)])
    child = await journal.executions.create(Launch(KEY, "", 1, variables={}, parent_id=parent))
    for identifier in (parent, child.id):
        await journal.executions.end(identifier, ExecutionState.SUCCESS)
    assert [item.depth for item in await journal.announcements.pending(10)] == [1, 1]
