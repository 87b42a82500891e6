"""Revisions of flows, and how their triggers fare."""

from workshop.builders import TRIGGER

from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import TriggerStatus


async def test_a_flow_gets_a_revision_when_its_text_changes(journal: Journal) -> None:
    """The same text keeps its number; a text from before is a new revision again."""
    texts = ["one", "one", "two", "one"]
    assert [await journal.triggers.register("n", "f", text) for text in texts] == [1, 1, 2, 3]


async def test_flows_are_numbered_for_themselves(journal: Journal) -> None:
    """Namespace and id together name a flow: dots may be in either."""
    assert await journal.triggers.register("a.b", "c", "x") == 1
    assert await journal.triggers.register("a", "b.c", "y") == 1


async def test_every_revision_can_be_read_back(journal: Journal) -> None:
    """An execution finds the flow as it was created with."""
    await journal.triggers.register("n", "f", "one")
    await journal.triggers.register("n", "f", "two")
    assert [await journal.triggers.source("n", "f", number) for number in (1, 2, 3)] == ["one", "two", None]
    assert await journal.triggers.latest_flows() == [("n", "f", "two")]


async def test_flows_no_longer_in_service_are_left_out(journal: Journal) -> None:
    """Their revisions stay for executions; who asks what there is does not see them any more."""
    await journal.triggers.register("n", "f", "one")
    await journal.triggers.register("n", "g", "two")
    await journal.triggers.note_served(["n.g"])
    assert await journal.triggers.latest_flows() == [("n", "g", "two")]
    assert await journal.triggers.source("n", "f", 1) == "one"


async def test_a_pause_survives_a_restart(journal: Journal, database: SqliteDatabase) -> None:
    """Only resuming ends it."""
    await journal.triggers.pause(TRIGGER, paused=True)
    again = await Journal.over(database)
    assert (await again.detections.standing(TRIGGER)).paused
    await again.triggers.pause(TRIGGER, paused=False)
    assert not (await again.detections.standing(TRIGGER)).paused


async def test_trouble_is_on_record_until_it_is_over(journal: Journal) -> None:
    """Cause, message and hint say what keeps a trigger from working; None that it works."""
    await journal.triggers.report(TRIGGER, "AccessDenied", "cannot list", "allow s3:ListBucket")
    status = (await journal.triggers.statuses())[str(TRIGGER)]
    assert (status.cause, status.message, status.hint) == ("AccessDenied", "cannot list", "allow s3:ListBucket")
    await journal.triggers.report(TRIGGER, None)
    assert (await journal.triggers.statuses())[str(TRIGGER)].cause is None


async def test_trouble_and_pause_do_not_touch_each_other(journal: Journal) -> None:
    """A paused trigger may be in trouble, too."""
    await journal.triggers.pause(TRIGGER, paused=True)
    await journal.triggers.report(TRIGGER, "Timeout", "slow")
    status = (await journal.triggers.statuses())[str(TRIGGER)]
    assert status == TriggerStatus(str(TRIGGER), True, "Timeout", "slow", None, status.since)
