"""Triggers that stop after an execution has ended in some state."""

import pytest
from workshop.duties import Office

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon import views
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import TriggerKey

KEY = TriggerKey("harbour", "tide", "s")


@pytest.fixture
def office(journal: Journal, expressions: Expressions) -> Office:
    return Office(journal, expressions)


async def test_the_end_of_an_execution_pauses_its_trigger(office: Office) -> None:
    """With the end itself, and only in a state that is meant."""
    triggers = office.journal.triggers
    await triggers.order_stops({KEY: ["FAILED", "KILLED"]})
    await office.ended("tide", "SUCCESS", "s")
    assert not await triggers.paused(KEY)

    execution = await office.ended("tide", "FAILED", "s")

    status = (await triggers.statuses())[str(KEY)]
    assert (status.paused, status.stopped_by) == (True, execution.id)
    shown = views.trigger_view(KEY, {}, status, {})
    assert shown["state"] == "PAUSED"
    assert execution.id in shown["problem"]["message"]
    assert shown["problem"]["hint"] == f"tidewaiter triggers resume {KEY}"


async def test_other_triggers_go_on(office: Office) -> None:
    """Also those of the same flow, and one whose order was taken back."""
    other = TriggerKey("harbour", "tide", "t")
    await office.journal.triggers.order_stops({KEY: ["FAILED"], other: ["FAILED"]})
    await office.journal.triggers.order_stops({KEY: ["FAILED"]})
    await office.ended("tide", "FAILED", "t")
    assert not await office.journal.triggers.paused(KEY)
    assert not await office.journal.triggers.paused(other)


async def test_resuming_lifts_it(office: Office) -> None:
    """Until the next such end."""
    triggers = office.journal.triggers
    await triggers.order_stops({KEY: ["FAILED"]})
    await office.ended("tide", "FAILED", "s")
    await triggers.pause(KEY, paused=False)
    status = (await triggers.statuses())[str(KEY)]
    assert (status.paused, status.stopped_by) == (False, None)
    await office.ended("tide", "FAILED", "s")
    assert await triggers.paused(KEY)


async def test_what_an_operator_paused_stays_his(office: Office) -> None:
    """An end later on does not take the credit."""
    triggers = office.journal.triggers
    await triggers.order_stops({KEY: ["FAILED"]})
    await triggers.pause(KEY, paused=True)
    await office.ended("tide", "FAILED", "s")
    assert (await triggers.statuses())[str(KEY)].stopped_by is None
