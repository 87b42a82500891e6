"""Routes: begun with the end of an execution, walked one step at a time, and objects taken up again."""

import pytest
from workshop.builders import TRIGGER, Intake, item, listed, source

from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival, Claim
from tidewaiter.daemon.journal.objects import Wanted
from tidewaiter.daemon.records import (
    DetectionState,
    Execution,
    ExecutionState,
    Place,
    Route,
    RoutePurpose,
    RouteState,
    TaskRun,
    TaskRunState,
    TriggerKey,
    now,
)

OTHER = TriggerKey("demo", "orders", "other")
BAD = Place("harbour", "bad/a", "e2")


@pytest.fixture
async def failed(intake: Intake, journal: Journal) -> Execution:
    """An execution that has failed, whose object has somewhere to go."""
    execution = await intake.deliver("a")
    await journal.executions.end(execution.id, ExecutionState.FAILED, route=RoutePurpose.FAILURE)
    return execution


async def only(journal: Journal) -> Route:
    [route] = await journal.routes.due(10)
    return route


async def test_the_end_of_an_execution_begins_a_route_for_each_object(journal: Journal, failed: Execution) -> None:
    """Once, whoever ends it how often."""
    assert not await journal.executions.end(failed.id, ExecutionState.FAILED, route=RoutePurpose.FAILURE)
    route = await only(journal)
    assert (route.purpose, route.state, route.execution_id) == (RoutePurpose.FAILURE, RouteState.PENDING, failed.id)


async def test_a_route_goes_one_step_at_a_time(journal: Journal, failed: Execution) -> None:
    """PENDING → PLACED → DONE, each step won once."""
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    assert not await journal.routes.done(route, detection, freed=False)
    assert [await journal.routes.placed(route, BAD) for _ in range(2)] == [True, False]
    assert [await journal.routes.done(route, detection, freed=False) for _ in range(2)] == [True, False]
    assert await journal.routes.due(10) == []


async def test_the_first_aim_stands(journal: Journal, failed: Execution) -> None:
    """A destination that changes between two attempts would leave the object in both."""
    route = await only(journal)
    await journal.routes.aim(route, "harbour", "bad/a")
    await journal.routes.aim(route, "harbour", "worse/a")
    assert (await only(journal)).dest_key == "bad/a"


async def test_a_postponed_route_waits(journal: Journal, failed: Execution) -> None:
    """It is due later, no longer untried, and can be hastened."""
    route = await only(journal)
    await journal.routes.postpone(route, next_try="2999-01-01T00:00:00.000000Z", error="AccessDenied \udc80")
    assert (await journal.routes.due(10), await journal.routes.untried()) == ([], False)
    assert (await journal.routes.wait() or 0) != 0
    assert await journal.routes.hasten(route.detection_id)
    assert (await only(journal)).attempts == 1


async def test_objects_are_where_the_last_route_put_them(journal: Journal, failed: Execution) -> None:
    """What DELETE removed is nowhere, until a route stores it anew; driven in again, nobody knows."""
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    assert await journal.routes.whereabouts(detection) is None
    await journal.routes.placed(route, BAD)
    await journal.routes.done(route, detection, freed=False)
    assert await journal.routes.whereabouts(detection) == Place("harbour", "bad/a", "e2", quarantined=True)
    await journal.routes.redrive(detection)
    back = await only(journal)
    await journal.routes.placed(back, Place("harbour", "a", "e3"))
    await journal.routes.done(back, detection, freed=False)
    assert await journal.routes.whereabouts(detection) is None


async def test_a_blocked_object_waits_for_its_action(intake: Intake, journal: Journal) -> None:
    """Its execution may have ended, but the object is not yet where the route would take it from."""
    [detection] = await intake.claim("a")
    await intake.store(detection)
    await journal.detections.block(detection, "AccessDenied")
    execution = await intake.execution(detection)
    await journal.executions.end(execution.id, ExecutionState.FAILED, route=RoutePurpose.FAILURE)
    assert (await journal.routes.due(10), await journal.routes.untried()) == ([], False)
    await journal.detections.done(detection, removed=True)
    assert len(await journal.routes.due(10)) == 1


async def test_an_execution_is_kept_while_its_objects_are_on_their_way(journal: Journal, failed: Execution) -> None:
    """Retention would take the bytes away that the route may have to store."""
    states = (ExecutionState.FAILED, ExecutionState.KILLED)
    assert await journal.executions.expired(states, "2999", 10) == []
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    await journal.routes.placed(route, BAD)
    await journal.routes.done(route, detection, freed=False)
    [expired] = await journal.executions.expired(states, "2999", 10)
    await journal.executions.forget(expired)
    assert await journal.routes.of(detection.id) == []


async def test_a_retry_repeats_what_failed_and_what_is_inside(journal: Journal, intake: Intake) -> None:
    """Results of other tasks stand; the failed ones are attempted once more."""
    execution = await intake.deliver("a")
    await journal.executions.start(execution)
    ends = {
        "first": "SUCCESS",
        "folder": "FAILED",
        "folder/one": "SUCCESS",
        "folder/two": "FAILED",
        "folders": "SUCCESS",
    }
    for path, end in ends.items():
        await journal.executions.start_task(TaskRun(execution.id, path, 1, TaskRunState.RUNNING, now()))
        run = TaskRun(execution.id, path, 1, TaskRunState.RUNNING, "")
        await journal.executions.end_task(run, TaskRunState(end), {}, None)
    assert await journal.executions.retry(execution.id, next_try="2999", error="two: exit code 1")
    stand = {run.task_path for run in await journal.executions.task_runs(execution.id) if run.state.ended}
    assert stand == {"first", "folders"}


async def test_an_execution_to_be_tried_again_waits_without_being_in_the_way(journal: Journal, intake: Intake) -> None:
    """It cannot start before its time, takes no place ahead, and counts as unfinished."""
    execution = await intake.deliver("a")
    await journal.executions.start(execution)
    await journal.executions.retry(execution.id, next_try="2999-01-01T00:00:00.000000Z", error="because")
    standing = await journal.detections.standing(TRIGGER)
    assert (standing.batches, standing.waiting) == (0, 1)
    assert await journal.executions.runnable() == []
    assert await journal.executions.unfinished()
    assert await journal.executions.next_try() == "2999-01-01T00:00:00.000000Z"


async def test_objects_are_listed_by_what_became_of_them(intake: Intake, journal: Journal, failed: Execution) -> None:
    """Quarantined is a state of its own; trigger, prefix and state choose."""
    await intake.claim("b")
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    await journal.routes.placed(route, BAD)
    await journal.routes.done(route, detection, freed=False)
    found = await journal.objects.newest(Wanted(trigger=TRIGGER))
    assert [(row["object_key"], row["state"]) for row in found] == [("b", "CLAIMED"), ("a", "QUARANTINED")]
    assert [row["object_key"] for row in await journal.objects.newest(Wanted(state="CLAIMED"))] == ["b"]
    assert [row["object_key"] for row in await journal.objects.newest(Wanted(prefix="a"))] == ["a"]
    assert await journal.objects.quarantined() == {str(TRIGGER): 1}


async def test_a_parked_object_is_released_once(intake: Intake, journal: Journal) -> None:
    """Then nothing is known of its key any more: the next look takes it as new."""
    [detection] = await intake.claim("a")
    await journal.detections.park(intake.source, detection, next_try="2999", error="broken")
    releases = [await journal.objects.release(detection, journal.detections.moment()) for _ in range(2)]
    assert releases == [True, False]
    assert (await intake.now(detection)).state is DetectionState.SUPERSEDED
    assert await intake.claim("a") != []


async def test_an_object_goes_one_way_at_a_time(journal: Journal, failed: Execution) -> None:
    """What a replay asks for begins where the route before it ended, or the object would be in both places."""
    replayed = await journal.executions.replay(failed, "replay")
    await journal.executions.end(replayed.id, ExecutionState.SUCCESS, route=RoutePurpose.SUCCESS)
    first = await only(journal)
    assert first.purpose is RoutePurpose.FAILURE
    await journal.routes.postpone(first, next_try="2999", error="AccessDenied")
    assert (await journal.routes.due(10), await journal.routes.untried()) == ([], False)
    [detection] = await journal.detections.batch(failed.batch_id)
    await journal.routes.placed(first, BAD)
    await journal.routes.done(first, detection, freed=False)
    assert (await only(journal)).purpose is RoutePurpose.SUCCESS


async def test_no_trigger_waits_behind_the_routes_of_another(journal: Journal, intake: Intake) -> None:
    """However many there are of one, and though they came first."""
    busy = [await intake.deliver(key) for key in "abc"]
    late = await Intake(journal, source(trigger=OTHER)).deliver("d")
    for execution in (*busy, late):
        await journal.executions.end(execution.id, ExecutionState.FAILED, route=RoutePurpose.FAILURE)
    assert {route.trigger for route in await journal.routes.due(2)} == {str(TRIGGER), str(OTHER)}


async def test_a_quarantined_object_is_sent_back_once(journal: Journal, failed: Execution) -> None:
    """Two operators who ask at the same time do not make it arrive twice."""
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    await journal.routes.placed(route, BAD)
    await journal.routes.done(route, detection, freed=False)
    assert [await journal.routes.redrive(detection) for _ in range(2)] == [True, False]


async def test_content_that_came_meanwhile_stays_known(journal: Journal, failed: Execution) -> None:
    """The reply to a removal may come after the next content was claimed at the key: that is not new once more."""
    route = await only(journal)
    [detection] = await journal.detections.batch(failed.batch_id)
    newer = Claim(Arrival(item("a", "e9", minutes=5), "CREATE"))
    await journal.detections.claim(source("NONE"), [[newer]])
    await journal.routes.placed(route, BAD)
    await journal.routes.done(route, detection, freed=True)
    compared = await journal.detections.compare(TRIGGER, listed(), [], journal.detections.moment())
    assert compared.absences == {"a": 1}
