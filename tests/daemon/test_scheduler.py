"""Schedules, with a clock of the test's own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from workshop.duties import Office, show

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon import scheduler
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import ExecutionState
from tidewaiter.daemon.scheduler import Scheduler

NINE = datetime(2026, 5, 1, 9, tzinfo=UTC)
HOURLY = '- {id: s, type: trigger.Schedule, cron: "0 * * * *"%s}'


@dataclass
class Bench:
    """A scheduler and the time it believes."""

    office: Office
    time: datetime = NINE + timedelta(minutes=30)
    triggers: str = HOURLY % ""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew, as a daemon does."""
        self.scheduler = Scheduler(self.office.journal, self.office.starter, self.office.launch, lambda: self.time)

    async def step(self, hours: float = 0, *, complete: bool = True) -> timedelta | None:
        self.time += timedelta(hours=hours)
        await self.scheduler.serve(self.office.duties(self.triggers), complete=complete)
        return await self.scheduler.step()

    async def dates(self) -> list[str]:
        return [str(date)[11:16] for date in await show(self.office)]


@pytest.fixture
def bench(journal: Journal, expressions: Expressions) -> Bench:
    return Bench(Office(journal, expressions))


async def test_a_new_schedule_begins_now(bench: Bench) -> None:
    """What was before is none of its dates; each later one has its execution."""
    await bench.step()
    assert await bench.dates() == []
    await bench.step(1)
    assert await bench.dates() == ["10:00"]
    await bench.step(1)
    [first, second] = await bench.office.executions()
    expected = {"date": "2026-05-01T11:00:00Z", "next": "2026-05-01T12:00:00Z", "previous": "2026-05-01T10:00:00Z"}
    assert second.variables == expected
    assert first.trigger == "harbour/tide/s"


async def test_it_waits_for_the_next_date_but_looks_at_the_clock_in_between(bench: Bench) -> None:
    """The wall clock may be set while it waits."""
    assert await bench.step() == timedelta(minutes=1)
    assert await bench.step(29.75 / 60) == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [("", ["10:00", "11:00", "12:00"]), ("LAST", ["12:00"]), ("NONE", [])],
)
async def test_what_was_missed_is_made_up_for_as_told(bench: Bench, recovery: str, expected: list[str]) -> None:
    """Each date, the last one, or none; ALL unless said otherwise. Later ones come in any case."""
    bench.triggers = HOURLY % (f", recoverMissedSchedules: {recovery}" if recovery else "")
    await bench.step()
    bench.start()

    await bench.step(3)

    assert await bench.dates() == expected
    await bench.step(1)
    assert await bench.dates() == [*expected, "13:00"]


async def test_dates_too_late_are_left_out(bench: Bench) -> None:
    """The others are not."""
    bench.triggers = HOURLY % ", lateMaximumDelay: PT1H"
    await bench.step()
    await bench.step(3)
    assert await bench.dates() == ["12:00"]


async def test_a_clock_set_back_doubles_nothing(bench: Bench) -> None:
    """Dates it had reached do not come again."""
    await bench.step()
    await bench.step(2)
    await bench.step(-2)
    assert await bench.step(1) is not None
    assert await bench.dates() == ["10:00", "11:00"]
    await bench.step(1)
    assert await bench.dates() == ["10:00", "11:00"]


async def test_an_edit_of_the_cron_begins_anew(bench: Bench) -> None:
    """Dates it would have had before it was written are none."""
    await bench.step()
    await bench.step(2)
    bench.triggers = bench.triggers.replace("0 * * * *", "*/10 * * * *")
    await bench.step()
    assert await bench.dates() == ["10:00", "11:00"]


async def test_an_edit_of_anything_else_does_not(bench: Bench) -> None:
    """What is due stays due."""
    await bench.step()
    bench.triggers = HOURLY % ", labels: {by: clock}"
    await bench.step(1)
    [execution] = await bench.office.executions()
    assert execution.labels == {"by": "clock"}


async def test_a_schedule_that_was_gone_begins_anew(bench: Bench) -> None:
    """Removed or disabled means not wanted; a file that is only wrong for a while means nothing."""
    with_it, without = bench.triggers, "- {id: other, type: trigger.Webhook, key: k}"
    await bench.step()
    bench.triggers = without
    await bench.step(1, complete=False)
    bench.triggers = with_it
    await bench.step(1)
    assert await bench.dates() == ["10:00", "11:00"]
    bench.triggers = without
    await bench.step(1)
    bench.triggers = with_it
    await bench.step(1)
    assert await bench.dates() == ["10:00", "11:00"]


async def test_a_paused_schedule_goes_on_from_its_resumption(bench: Bench) -> None:
    """What came due in between is not made up for."""
    await bench.step()
    key = bench.office.duties(bench.triggers)[0].key
    await bench.office.journal.triggers.pause(key, paused=True)
    await bench.step(2)
    bench.time = datetime.now(UTC)
    await bench.office.journal.triggers.pause(key, paused=False)
    await bench.step()
    assert await bench.dates() == []
    await bench.step(1)
    assert len(await bench.dates()) == 1


async def test_backfill_begins_in_the_past(bench: Bench) -> None:
    """A new schedule has every date since."""
    bench.triggers = HOURLY % ', backfill: {start: "2026-05-01 07:00:00"}'
    await bench.step()
    assert await bench.dates() == ["07:00", "08:00", "09:00"]


async def test_conditions_say_which_dates_are_none(bench: Bench) -> None:
    """Nor are they what is next or was before."""
    bench.triggers = """\
- id: s
  type: trigger.Schedule
  cron: "0 12 * * *"
  conditions: [{type: condition.Not, conditions: [{type: condition.Weekend}]}]
"""
    await bench.step()
    await bench.step(4 * 24)
    variables = [item.variables for item in await bench.office.executions()]
    assert variables == [
        {"date": "2026-05-01T12:00:00Z", "next": "2026-05-04T12:00:00Z", "previous": "2026-04-30T12:00:00Z"},
        {"date": "2026-05-04T12:00:00Z", "next": "2026-05-05T12:00:00Z", "previous": "2026-05-01T12:00:00Z"},
    ]


async def test_what_cannot_be_told_starts_nothing_and_is_reported(bench: Bench) -> None:
    """The date stays due: once the flow is mended, its execution starts."""
    bench.triggers = HOURLY % ", when: '{{ nothing.here }}'"
    await bench.step()
    await bench.step(1)
    statuses = await bench.office.journal.triggers.statuses()
    assert await bench.dates() == []
    assert "nothing" in (statuses["harbour/tide/s"].message or "")
    bench.triggers = HOURLY % ""
    await bench.step()
    assert await bench.dates() == ["10:00"]
    assert (await bench.office.journal.triggers.statuses())["harbour/tide/s"].cause is None


async def test_inputs_are_rendered_for_each_date(bench: Bench) -> None:
    """In the zone of the schedule, from what the trigger shows."""
    bench.triggers = HOURLY % ", timezone: Europe/Paris, inputs: {at: '{{ trigger.date }}', n: 3}"
    await bench.step()
    await bench.step(1)
    [execution] = await bench.office.executions()
    assert execution.inputs == {"at": "2026-05-01T12:00:00+02:00", "n": 3}


async def test_no_more_wait_than_there_is_room_for(bench: Bench) -> None:
    """A long backlog is handed out as executions end; no date is dropped."""
    bench.triggers = '- {id: s, type: trigger.Schedule, cron: "* * * * *"}'
    await bench.step()
    await bench.step(3)
    key = bench.office.duties(bench.triggers)[0].key
    journal = bench.office.journal
    assert await journal.schedules.live(key) == scheduler.MOST_LIVE
    assert bench.scheduler.frees(key)
    for execution in await journal.executions.newest(limit=1000):
        await journal.executions.end(execution.id, ExecutionState.SUCCESS)
    await bench.step()
    assert len(await journal.executions.newest(limit=1000)) == 180


async def test_a_date_is_handed_out_once(bench: Bench) -> None:
    """Whoever comes again with a date, as after a lost reply, starts nothing."""
    await bench.step()
    await bench.step(1)
    [execution] = await bench.office.executions()
    duty = bench.office.duties(bench.triggers)[0]
    event = scheduler.Event({}, NINE)
    order = bench.office.starter.order(duty, event)  # type: ignore[arg-type]
    assert not await bench.office.journal.schedules.hand_out(duty.key, NINE + timedelta(hours=1), order)
    assert [item.id for item in await bench.office.executions()] == [execution.id]
