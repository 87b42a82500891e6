"""What an operator may ask for."""

import pytest
from workshop.builders import TRIGGER, Intake

from tidewaiter.daemon.control import Control, NotFoundError, NotPossibleError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import ExecutionState, TriggerKey


class Daemon:
    """Remembers what it was woken for."""

    def __init__(self, *known: TriggerKey) -> None:
        self.known = known
        self.wakes = 0
        self.polled: list[TriggerKey] = []

    def wake(self) -> None:
        self.wakes += 1

    def poll(self, trigger: TriggerKey) -> bool:
        self.polled.append(trigger)
        return trigger in self.known


@pytest.fixture
def daemon() -> Daemon:
    return Daemon(TRIGGER)


@pytest.fixture
def control(journal: Journal, daemon: Daemon) -> Control:
    return Control(journal, daemon.wake, daemon.poll)


async def test_an_execution_is_meant_by_the_beginning_of_its_id(control: Control, intake: Intake) -> None:
    """As much of it as is unique."""
    execution = await intake.deliver("a")
    assert (await control.execution(execution.id[:8])).id == execution.id


@pytest.mark.parametrize("prefix", ["", "nope", "%", "_"])
async def test_nobody_is_meant_by_something_else(control: Control, intake: Intake, prefix: str) -> None:
    """No pattern, no emptiness."""
    await intake.deliver("a")
    with pytest.raises(NotFoundError, match="there is no execution"):
        await control.execution(prefix)


async def test_an_ambiguous_beginning_is_told(control: Control, intake: Intake) -> None:
    """Seventeen ids have two with the same first character."""
    made = [await intake.deliver(str(number)) for number in range(17)]
    firsts = [execution.id[0] for execution in made]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(NotFoundError, match="more than one execution begins with"):
        await control.execution(twice)


async def test_a_kill_is_a_row_and_a_wake(control: Control, daemon: Daemon, intake: Intake, journal: Journal) -> None:
    """The executor finds it in the journal."""
    execution = await intake.deliver("a")
    await control.kill(execution.id)
    assert ([e.id for e in await journal.executions.to_kill()], daemon.wakes) == ([execution.id], 1)


async def test_what_has_ended_cannot_be_killed(
    control: Control, daemon: Daemon, intake: Intake, journal: Journal
) -> None:
    """The answer says how it ended."""
    execution = await intake.deliver("a")
    await journal.executions.end(execution.id, ExecutionState.SUCCESS)
    with pytest.raises(NotPossibleError, match=r"has ended already \(SUCCESS\)"):
        await control.kill(execution.id)
    assert daemon.wakes == 0


async def test_what_has_ended_can_be_replayed(
    control: Control, daemon: Daemon, intake: Intake, journal: Journal
) -> None:
    """A new execution waits to be started."""
    execution = await intake.deliver("a")
    await journal.executions.end(execution.id, ExecutionState.FAILED)
    replay = await control.replay(execution.id)
    assert (replay.original_id, replay.state, daemon.wakes) == (execution.id, ExecutionState.CREATED, 1)
    assert [c.execution.id for c in await journal.executions.runnable()] == [replay.id]


async def test_what_lives_cannot_be_replayed(control: Control, intake: Intake) -> None:
    """Two runs over one object at once are nobody's wish."""
    execution = await intake.deliver("a")
    with pytest.raises(NotPossibleError, match="has not ended"):
        await control.replay(execution.id)


async def test_a_trigger_is_paused_and_told(control: Control, daemon: Daemon, journal: Journal) -> None:
    """It is on record before the trigger looks."""
    await control.pause(TRIGGER, paused=True)
    assert ((await journal.detections.standing(TRIGGER)).paused, daemon.polled) == (True, [TRIGGER])
    await control.pause(TRIGGER, paused=False)
    assert not (await journal.detections.standing(TRIGGER)).paused


async def test_polling_needs_a_daemon_with_that_trigger(control: Control, journal: Journal) -> None:
    """Asking in vain is told."""
    control.poll(TRIGGER)
    with pytest.raises(NotPossibleError, match="nothing looks for objects of trigger 'a/b/c' now"):
        control.poll(TriggerKey("a", "b", "c"))
    with pytest.raises(NotPossibleError, match="nothing looks for objects"):
        Control(journal).poll(TRIGGER)


async def test_without_a_daemon_requests_are_kept(journal: Journal, intake: Intake) -> None:
    """They take effect at its next start."""
    execution = await intake.deliver("a")
    await Control(journal).kill(execution.id)
    await Control(journal).pause(TRIGGER, paused=True)
    assert (await journal.detections.standing(TRIGGER)).paused
    assert len(await journal.executions.to_kill()) == 1
