"""Claims: each transition wins once, and an object in custody is never without its execution (reliability.md §3)."""

import asyncio

import pytest
from workshop.builders import BUCKET, TRIGGER, Intake, item, listed, source

from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival, Claim
from tidewaiter.daemon.records import Detection, DetectionState, ExecutionState, TriggerKey
from tidewaiter.triggers.bucket import S3Object

OTHER = TriggerKey("demo", "orders", "other")


async def compared(journal: Journal, *objects: S3Object, poll: int | None = None) -> list[Arrival]:
    poll = journal.detections.moment() if poll is None else poll
    return (await journal.detections.compare(TRIGGER, listed(*objects), objects, poll)).arrivals


async def absences(journal: Journal, *objects: S3Object) -> dict[str, int]:
    """What a complete listing of *objects* misses; also records it."""
    missed = (
        await journal.detections.compare(TRIGGER, listed(*objects), objects, journal.detections.moment())
    ).absences
    await journal.detections.forget_absent(TRIGGER, BUCKET, missed)
    return missed


async def stored(intake: Intake, key: str = "a") -> Detection:
    [detection] = await intake.claim(key)
    assert await intake.store(detection)
    return await intake.now(detection)


async def parked(intake: Intake, key: str = "a") -> Detection:
    [detection] = await intake.claim(key)
    await intake.journal.detections.close(intake.source, detection, DetectionState.PARKED, "broken")
    return await intake.now(detection)


async def test_a_claim_keeps_what_was_listed(intake: Intake) -> None:
    """A detection has the identity of the object as it was listed."""
    [detection] = await intake.claim("raw/é.csv")
    assert (detection.object, detection.state) == (item("raw/é.csv"), DetectionState.CLAIMED)
    assert await intake.now(detection) == detection


async def test_a_key_is_claimed_once(intake: Intake) -> None:
    """While a claim lives, nobody claims the key again."""
    assert len(await intake.claim("a")) == 1
    assert await intake.claim("a") == []


async def test_claims_at_the_same_time_have_one_winner(intake: Intake) -> None:
    """The row decides, not who looked first."""
    won = await asyncio.gather(*(intake.claim("a", "b", batch=2) for _ in range(5)))
    assert sorted(len(claimed) for claimed in won) == [0, 0, 0, 0, 2]


async def test_triggers_claim_for_themselves(intake: Intake, journal: Journal) -> None:
    """Two triggers may both take a key; neither sees the other's claims."""
    await intake.claim("a")
    assert len(await Intake(journal, source(trigger=OTHER)).claim("a")) == 1


async def test_batches_are_in_key_order(intake: Intake) -> None:
    """Batches claimed in one go sort as their keys do, though they are made within a millisecond."""
    claimed = await intake.claim(*(f"k{number:03}" for number in range(200)))
    assert [d.key for d in sorted(claimed, key=lambda d: d.batch_id)] == [d.key for d in claimed]


async def test_a_batch_keeps_the_order_of_its_objects(intake: Intake, journal: Journal) -> None:
    """The objects of one execution come in key order."""
    [first, *_] = await intake.claim("a", "b", "c", batch=3)
    assert [d.key for d in await journal.detections.batch(first.batch_id)] == ["a", "b", "c"]


async def test_a_refused_object_is_parked_at_once(intake: Intake, journal: Journal) -> None:
    """It is there to be seen, with the reason, and nothing is done to it."""
    claim = Claim(Arrival(item("a"), "CREATE"), refusal="it is a folder marker")
    [detection] = await journal.detections.claim(intake.source, [[claim]])
    assert ((await intake.now(detection)).state, detection.error) == (DetectionState.PARKED, "it is a folder marker")
    assert (await journal.detections.standing(TRIGGER)).live == []


async def test_storing_wins_once(intake: Intake) -> None:
    """CLAIMED → STORED happens one time."""
    [detection] = await intake.claim("a")
    assert [await intake.store(detection), await intake.store(detection)] == [True, False]


async def test_storing_creates_the_execution_and_holds_it(intake: Intake) -> None:
    """From the moment of storing there is an execution; it waits for the action."""
    execution = await intake.execution(await stored(intake))
    assert (execution.state, execution.held) == (ExecutionState.CREATED, True)
    assert (execution.flow_path, execution.trigger) == ("demo.orders", str(TRIGGER))


async def test_storing_and_the_execution_are_one_commit(intake: Intake, database: SqliteDatabase) -> None:
    """If the execution cannot be made, the object is not stored either."""
    [detection] = await intake.claim("a")
    database._writing.execute("CREATE TRIGGER no BEFORE INSERT ON execution BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no"):
        await intake.store(detection)
    assert (await intake.now(detection)).state is DetectionState.CLAIMED


async def test_without_an_action_storing_is_the_end(journal: Journal) -> None:
    """With action NONE the execution may start at once."""
    intake = Intake(journal, source("NONE"))
    detection = await stored(intake)
    assert (detection.state, (await intake.execution(detection)).held) == (DetectionState.DONE, False)


@pytest.mark.parametrize(("claimed", "now", "state"), [("NONE", "MOVE", "DONE"), ("DELETE", "NONE", "STORED")])
async def test_the_action_at_the_claim_counts(journal: Journal, claimed: str, now: str, state: str) -> None:
    """A flow edited meanwhile does not change what becomes of an object already claimed."""
    [detection] = await Intake(journal, source(claimed)).claim("a")
    await Intake(journal, source(now)).store(detection)
    assert (await Intake(journal).now(detection)).state == state


async def test_the_last_of_a_batch_makes_the_execution(intake: Intake, journal: Journal) -> None:
    """An execution of several objects is there exactly when the last of them has been read."""
    claimed = await intake.claim("a", "b", "c", batch=3)
    there = []
    for detection in claimed:
        await intake.store(detection)
        there.append(await journal.executions.get(detection.execution_id) is not None)
    assert there == [False, False, True]


@pytest.mark.parametrize("state", [DetectionState.SUPERSEDED, DetectionState.GONE, DetectionState.PARKED])
async def test_a_batch_goes_on_without_a_lost_object(intake: Intake, journal: Journal, state: DetectionState) -> None:
    """An object that cannot be read does not keep the others from their execution."""
    first, second = await intake.claim("a", "b", batch=2)
    await intake.store(first)
    assert await journal.detections.close(intake.source, second, state, "lost")
    assert (await intake.execution(first)).state is ExecutionState.CREATED
    assert not await journal.detections.close(intake.source, second, state, "again")


async def test_a_batch_without_any_object_has_no_execution(intake: Intake, journal: Journal) -> None:
    """Where nothing could be read, nothing is started."""
    for detection in await intake.claim("a", "b", batch=2):
        await journal.detections.close(intake.source, detection, DetectionState.GONE, "gone")
    assert await journal.executions.newest() == []


async def test_closing_does_not_touch_what_is_stored(intake: Intake, journal: Journal) -> None:
    """An object in custody cannot be closed any more."""
    detection = await stored(intake)
    assert not await journal.detections.close(intake.source, detection, DetectionState.GONE, "late")
    assert (await intake.now(detection)).state is DetectionState.STORED


async def test_copying_wins_once_and_remembers_where(intake: Intake, journal: Journal) -> None:
    """STORED → COPIED happens one time, with the destination."""
    detection = await stored(intake)
    assert [await journal.detections.copied(detection, "archive", "x", "e-2") for _ in range(2)] == [True, False]
    now = await intake.now(detection)
    assert (now.dest_bucket, now.dest_key, now.dest_etag) == ("archive", "x", "e-2")


async def test_done_wins_once_and_lets_the_execution_go(intake: Intake, journal: Journal) -> None:
    """→ DONE happens one time; the execution is no longer held."""
    detection = await stored(intake)
    assert [await journal.detections.done(detection, removed=True) for _ in range(2)] == [True, False]
    assert not (await intake.execution(detection)).held


async def test_what_was_left_undone_is_remembered(intake: Intake, journal: Journal) -> None:
    """A remark on how it ended stays with the record."""
    detection = await stored(intake)
    await journal.detections.done(detection, removed=False, remark="not tagged")
    assert (await intake.now(detection)).error == "not tagged"


async def test_what_is_only_claimed_cannot_be_done_or_copied(intake: Intake, journal: Journal) -> None:
    """No step can be left out."""
    [detection] = await intake.claim("a")
    assert not await journal.detections.copied(detection, "b", "k", None)
    assert not await journal.detections.done(detection, removed=True)
    assert not await journal.detections.block(detection, "x")


async def test_the_execution_waits_for_every_action_of_its_batch(intake: Intake, journal: Journal) -> None:
    """It is let go when the last object is where it belongs."""
    claimed = await intake.claim("a", "b", batch=2)
    held = []
    for detection in claimed:
        await intake.store(detection)
    for detection in claimed:
        await journal.detections.done(detection, removed=True)
        held.append((await intake.execution(detection)).held)
    assert held == [True, False]


async def test_an_execution_made_last_is_not_held_for_nothing(intake: Intake, journal: Journal) -> None:
    """If the others were done before the last one went missing, nobody would let it go later."""
    first, second = await intake.claim("a", "b", batch=2)
    await intake.store(first)
    await journal.detections.done(first, removed=True)
    await journal.detections.close(intake.source, second, DetectionState.GONE, "gone")
    assert not (await intake.execution(first)).held


async def test_a_blocked_action_lets_the_execution_go(intake: Intake, journal: Journal) -> None:
    """The object's action goes on being tried, the execution does not wait for it any longer."""
    detection = await stored(intake)
    assert await journal.detections.block(detection, "AccessDenied")
    assert not (await intake.execution(detection)).held
    assert await journal.detections.counts() == {str(TRIGGER): {"ACTION_BLOCKED": 1}}
    assert await journal.detections.done(detection, removed=True)


async def test_a_blocked_object_does_not_take_up_room(intake: Intake, journal: Journal) -> None:
    """What is blocked does not count as ahead once its execution has ended."""
    detection = await stored(intake)
    assert (await journal.detections.standing(TRIGGER)).batches == 1
    await journal.detections.postpone(intake.source, detection, next_try="2027", error="AccessDenied")
    await journal.detections.block(detection, "AccessDenied")
    await journal.executions.end(detection.execution_id, ExecutionState.SUCCESS)
    assert (await journal.detections.standing(TRIGGER)).batches == 0


async def test_a_setback_is_counted_and_waits(intake: Intake, journal: Journal) -> None:
    """The number of attempts and the time of the next are on record; success starts anew."""
    [detection] = await intake.claim("a")
    await journal.detections.postpone(intake.source, detection, next_try="2027-01-01", error="slow")
    now = await intake.now(detection)
    assert (now.attempts, now.next_try, now.error) == (1, "2027-01-01", "slow")
    await intake.store(detection)
    assert ((after := await intake.now(detection)).attempts, after.next_try, after.error) == (0, None, None)


async def test_an_object_that_keeps_failing_leaves_its_batch(intake: Intake, journal: Journal) -> None:
    """The others get their execution; the failing one is tried on alone and gets one of its own."""
    first, second = await intake.claim("a", "b", batch=2)
    await intake.store(first)
    for _ in range(20):
        await journal.detections.postpone(intake.source, await intake.now(second), next_try="2027", error="slow")
    assert (await intake.execution(first)).state is ExecutionState.CREATED
    alone = await intake.now(second)
    assert alone.batch_id != first.batch_id
    await intake.store(alone)
    assert (await intake.execution(alone)).state is ExecutionState.CREATED


async def test_a_new_object_is_an_arrival(journal: Journal) -> None:
    """What nobody has seen is created."""
    assert await compared(journal, item("a")) == [Arrival(item("a"), "CREATE")]


async def test_what_is_in_hand_is_no_arrival(intake: Intake, journal: Journal) -> None:
    """Neither the same nor a newer content of a key in hand is claimed; its turn comes."""
    await intake.claim("a")
    assert await compared(journal, item("a"), item("a", "e2")) == []


async def test_what_was_seen_is_no_arrival(journal: Journal) -> None:
    """With action NONE an unchanged object does not fire again."""
    await stored(Intake(journal, source("NONE")))
    assert await compared(journal, item("a")) == []


@pytest.mark.parametrize("changed", [item("a", "e2"), item("a", minutes=1)])
async def test_a_changed_object_is_an_update(journal: Journal, changed: S3Object) -> None:
    """Other content or a later upload of the same content is news."""
    await stored(Intake(journal, source("NONE")))
    assert await compared(journal, changed) == [Arrival(changed, "UPDATE")]


async def test_another_triggers_objects_are_news(journal: Journal) -> None:
    """What one trigger has seen says nothing to another."""
    await stored(Intake(journal, source("NONE", trigger=OTHER)))
    assert len(await compared(journal, item("a"))) == 1


async def test_the_same_file_dropped_again_fires_again(intake: Intake, journal: Journal) -> None:
    """Once our removal is done, even an identical object is new."""
    detection = await stored(intake)
    await journal.detections.done(detection, removed=True)
    assert await compared(journal, item("a")) == [Arrival(item("a"), "CREATE")]


async def test_a_replaced_object_fires_for_its_new_content_only(intake: Intake, journal: Journal) -> None:
    """Where the key was taken again before our removal, the old content is remembered."""
    detection = await stored(intake)
    await journal.detections.done(detection, removed=False)
    assert await compared(journal, item("a"), item("a", "e2")) == [Arrival(item("a", "e2"), "UPDATE")]


async def test_a_page_from_before_our_removal_is_stale(intake: Intake, journal: Journal) -> None:
    """A listing that began before a claim ended may still show what we removed; it is not believed."""
    detection = await stored(intake)
    poll = journal.detections.moment()
    await journal.detections.done(detection, removed=True)
    assert await compared(journal, item("a"), poll=poll) == []
    assert len(await compared(journal, item("a"))) == 1


async def test_what_ended_before_a_restart_is_not_stale_for_a_new_listing(
    intake: Intake, database: SqliteDatabase
) -> None:
    """Counting goes on after a restart: a listing that begins later has the higher number."""
    await intake.journal.detections.done(await stored(intake), removed=True)
    again = await Journal.over(database)
    assert len(await compared(again, item("a"))) == 1


@pytest.mark.parametrize("state", [DetectionState.SUPERSEDED, DetectionState.GONE])
async def test_a_key_that_was_lost_can_be_claimed_again(
    intake: Intake, journal: Journal, state: DetectionState
) -> None:
    """The next content at the key is taken."""
    [detection] = await intake.claim("a")
    await journal.detections.close(intake.source, detection, state, "lost")
    [arrival] = await compared(journal, item("a", "e2"))
    assert arrival.change_type == "CREATE"
    assert len(await journal.detections.claim(intake.source, [[Claim(arrival)]])) == 1


async def test_a_parked_object_stays_parked(intake: Intake, journal: Journal) -> None:
    """The same content is not tried for ever."""
    await parked(intake)
    assert await compared(journal, item("a")) == []


async def test_a_parked_object_is_taken_up_again_in_time(intake: Intake, journal: Journal) -> None:
    """Later the same content is tried once more; so it is at once when the flow has changed since."""
    [detection] = await intake.claim("a")
    await journal.detections.park(intake.source, detection, next_try="2999-01-01T00:00:00.000000Z", error="broken")
    assert await compared(journal, item("a")) == []
    await journal.objects.reconsider(TRIGGER, detection.flow_revision)
    assert await compared(journal, item("a")) == []
    await journal.objects.reconsider(TRIGGER, detection.flow_revision + 1)
    [arrival] = await compared(journal, item("a"))
    assert (arrival.yields, arrival.change_type) == (detection.id, "CREATE")


async def test_a_parked_object_yields_to_another_content(intake: Intake, journal: Journal) -> None:
    """Uploading a mended file always works."""
    old = await parked(intake)
    [arrival] = await compared(journal, item("a", "e2"))
    assert len(await journal.detections.claim(intake.source, [[Claim(arrival)]])) == 1
    assert (await intake.now(old)).state is DetectionState.SUPERSEDED


async def test_a_blocked_object_yields_to_another_content(intake: Intake, journal: Journal) -> None:
    """So does one whose removal is refused; its late steps find nothing to do."""
    old = await stored(intake)
    await journal.detections.block(old, "AccessDenied")
    [arrival] = await compared(journal, item("a"), item("a", "e2"))
    assert len(await journal.detections.claim(intake.source, [[Claim(arrival)]])) == 1
    assert not await journal.detections.done(old, removed=True)
    assert await journal.detections.counts() == {str(TRIGGER): {"SUPERSEDED": 1, "CLAIMED": 1}}


async def test_only_what_may_yield_does(intake: Intake, journal: Journal) -> None:
    """A claim that names a live one as yielding does not push it aside."""
    old = await stored(intake)
    assert await journal.detections.claim(intake.source, [[Claim(Arrival(item("a", "e2"), "UPDATE", old.id))]]) == []
    assert (await intake.now(old)).state is DetectionState.STORED


async def test_an_object_is_forgotten_after_two_complete_listings_without_it(journal: Journal) -> None:
    """One listing without it may be a hiccup, two are not; then it is new again."""
    await stored(Intake(journal, source("NONE")))
    assert [await absences(journal), await absences(journal)] == [{"a": 1}, {"a": 2}]
    assert await compared(journal, item("a")) == [Arrival(item("a"), "CREATE")]


async def test_an_object_that_is_back_starts_counting_anew(journal: Journal) -> None:
    """Two absences in a row are needed."""
    await stored(Intake(journal, source("NONE")))
    assert [await absences(journal), await absences(journal, item("a")), await absences(journal)] == [
        {"a": 1},
        {"a": 0},
        {"a": 1},
    ]
    assert await compared(journal, item("a")) == []


async def test_a_page_says_nothing_of_keys_beyond_it(journal: Journal) -> None:
    """Only keys between the ends of a page, and covered by the trigger, can be missing from it."""
    intake = Intake(journal, source("NONE"))
    for key in ("a", "b", "c"):
        await stored(intake, key)
    page = listed(item("b"), first="b", last="b")
    assert (await journal.detections.compare(TRIGGER, page, [item("b")], 99)).absences == {}


async def test_remembered_objects_do_not_fire_until_they_change(journal: Journal) -> None:
    """'on: UPDATE' notes a new object, to tell its change from it."""
    await journal.detections.remember(TRIGGER, [item("a")])
    assert await compared(journal, item("a"), item("a", "e2")) == [Arrival(item("a", "e2"), "UPDATE")]


async def test_keys_are_compared_as_bytes(journal: Journal) -> None:
    """Case, accents and signs tell keys apart, and sort as S3 does."""
    keys = ["A", "a", "a\0", "e\u0301", "z", "é", "\U0001f6a2"]
    await Intake(journal, source("NONE")).claim(*keys)
    assert await compared(journal, *(item(key) for key in keys)) == []
    page = listed(first="a", last="z")
    missing = (await journal.detections.compare(TRIGGER, page, [], 99)).absences
    assert sorted(missing) == ["a", "a\0", "e\u0301", "z"]


async def test_standing_counts_what_is_ahead_and_lists_what_lives(intake: Intake, journal: Journal) -> None:
    """Batches in custody and executions that have not ended are ahead, each once."""
    await intake.deliver("a")
    second, third = await intake.claim("b", "c")
    await intake.store(second)
    standing = await journal.detections.standing(TRIGGER)
    assert ([d.id for d in standing.live], standing.batches, standing.paused) == ([second.id, third.id], 3, False)


async def test_standing_gives_only_so_many(intake: Intake, journal: Journal) -> None:
    """Of many detections the oldest come first; those that wait for another try are counted, and tell when that is."""
    first, second, third = await intake.claim("a", "b", "c")
    await journal.detections.postpone(intake.source, first, next_try="2999-01-01T00:00:00.000Z", error="refused")
    standing = await journal.detections.standing(TRIGGER, 1)
    assert [d.id for d in standing.live] == [second.id]
    assert (standing.failing, standing.next_try) == (1, "2999-01-01T00:00:00.000Z")
    assert [d.id for d in (await journal.detections.standing(TRIGGER)).live] == [second.id, third.id]


async def test_unfinished_are_those_that_still_need_something(intake: Intake, journal: Journal) -> None:
    """What has ended, and what nobody knows, is left out."""
    await intake.deliver("a")
    [ended] = await journal.detections.batch((await journal.executions.newest(limit=1))[0].batch_id)
    [waiting] = await intake.claim("b")
    assert await journal.detections.unfinished({ended.id, waiting.id, "none"}) == {waiting.id}


async def test_live_triggers_are_known_with_their_revision(journal: Journal) -> None:
    """Claims of a trigger that is no longer in any flow are found at the start."""
    await Intake(journal, source(revision=3)).claim("a")
    await Intake(journal, source(revision=5)).claim("b")
    assert await journal.detections.live_triggers() == {TRIGGER: 5}


async def test_counts_tell_the_states_by_trigger(intake: Intake, journal: Journal) -> None:
    """What 'triggers list' shows."""
    await intake.claim("a", "b")
    await stored(intake, "c")
    assert await journal.detections.counts() == {str(TRIGGER): {"CLAIMED": 2, "STORED": 1}}


async def test_what_was_read_does_not_hide_what_is_to_be_read(intake: Intake, journal: Journal) -> None:
    """After a crash in the middle of a large batch, the rest of it is found behind all that waits for it."""
    claimed = await intake.claim("a", "b", "c", "d", batch=4)
    for detection in claimed[:2]:
        await intake.store(detection)
    assert [one.key for one in (await journal.detections.standing(TRIGGER, 2)).live] == ["c", "d"]
    for detection in claimed[2:]:
        await intake.store(detection)
    assert [one.key for one in (await journal.detections.standing(TRIGGER, 4)).live] == ["a", "b", "c", "d"]
