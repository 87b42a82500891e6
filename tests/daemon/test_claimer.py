"""Looks at a real bucket: what is claimed, in which batches, and what is said of the rest."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from workshop.builders import NOON, TRIGGER, item, source, until

from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.daemon.claimer import Claimer
from tidewaiter.daemon.gathering import Gathering, Judged, Look
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival
from tidewaiter.daemon.records import Detection, DetectionState
from tidewaiter.triggers.bucket import Bucket, Page
from tidewaiter.triggers.manifests import Manifests
from tidewaiter.triggers.rules import Found, Rules
from tidewaiter.triggers.s3 import S3Trigger


class Watcher:
    """Looks at a bucket for one trigger. *asked* are the keys for which an expression was rendered."""

    def __init__(self, bucket: Bucket, journal: Journal, s3: Any, expressions: Expressions, **properties: Any) -> None:
        self.bucket = bucket
        self.journal = journal
        self.s3 = s3
        self.asked: list[str] = []
        self.manifests = Manifests()
        written = {"id": "t", "type": "aws.s3.Trigger", "prefix": "raw/", "action": "NONE", "maxFiles": 1000}
        self.spec = S3Trigger.model_validate(written | {"bucket": bucket.name} | properties)

        def render(text: str, item: Mapping[str, Any]) -> str:
            self.asked.append(item["key"])
            return expressions.render(text, Scope({"object": item}))

        self.claimer = Claimer(TRIGGER, journal.detections, Rules.of(self.spec, render), self.manifests)

    async def put(self, *keys: str, content: bytes = b"x") -> None:
        for key in keys:
            await self.s3.put_object(Bucket=self.bucket.name, Key=key, Body=content)

    async def look(self, room: int = 100, *, to_the_end: bool = False) -> Look:
        return await self.claimer.look(self.bucket, room, to_the_end=to_the_end)

    async def claim(self, room: int = 100) -> list[Detection]:
        return await self.claimer.claim(source(self.spec.action), await self.look(room))


@pytest.fixture
def watch(bucket: Bucket, journal: Journal, s3: Any, expressions: Expressions) -> Callable[..., Watcher]:
    def watch(**properties: Any) -> Watcher:
        return Watcher(bucket, journal, s3, expressions, **properties)

    return watch


def keys(look: Look) -> list[str]:
    """The keys of each batch."""
    return [" ".join(claim.arrival.object.key.removeprefix("raw/") for claim in batch) for batch in look.batches]


async def test_limits_do_not_limit_the_listing(watch: Callable) -> None:
    """A folder marker and ``maxKeys: 1`` do not hide the file after it (kestra.md D4, D5)."""
    watcher = watch(maxKeys=1, filter="FILES")
    await watcher.put("raw/", "raw/a", "raw/b")
    assert keys(await watcher.look()) == ["a", "b"]


async def test_it_starts_after_the_marker(watch: Callable) -> None:
    """``marker`` names the last key that is of no interest."""
    watcher = watch(marker="raw/a")
    await watcher.put("raw/a", "raw/b", "raw/c")
    assert keys(await watcher.look()) == ["b c"]


async def test_it_stays_on_one_level_with_a_delimiter(watch: Callable) -> None:
    """With a delimiter only the objects of the first level arrive."""
    watcher = watch(delimiter="/")
    await watcher.put("raw/a", "raw/deep/b")
    assert keys(await watcher.look()) == ["a"]


async def test_what_must_not_be_touched_is_parked(watch: Callable) -> None:
    """It is claimed to be seen, and not again at the next look."""
    watcher = watch(action="MOVE", moveTo={"key": "archive"}, regexp=r"(?s).*\.csv")
    await watcher.put("raw/a.csv", "raw/b\n.csv", "raw/c.txt")
    look = await watcher.look()
    assert [(claim.arrival.object.key, claim.refusal) for claim in look.refused] == [
        ("raw/b\n.csv", "its key has control characters")
    ]
    await watcher.claimer.claim(source("MOVE"), look)
    again = await watcher.look()
    assert (again.batches, again.refused) == ([], [])


async def test_what_there_is_no_room_for_is_counted(watch: Callable) -> None:
    """A look that stops early says so; one that goes on to the end says how many there are and the oldest."""
    watcher = watch(maxKeys=1, action="DELETE")
    before = datetime.now(UTC) - timedelta(seconds=2)
    await watcher.put(*(f"raw/{number:03}" for number in range(120)))
    first = await watcher.look(2)
    assert keys(first) == ["000", "001"]
    assert not first.backlog.complete
    whole = await watcher.look(2, to_the_end=True)
    assert keys(whole) == ["000", "001"]
    assert (whole.backlog.objects, whole.backlog.complete) == (118, True)
    assert whole.backlog.oldest is not None
    assert before < whole.backlog.oldest < datetime.now(UTC) + timedelta(seconds=2)


async def test_what_is_listed_twice_is_taken_once(watch: Callable) -> None:
    """A weak store may show a key on two pages; whether there is room for it or not, it counts once."""
    rules = watch(maxFiles=2).claimer.rules
    gathering = Gathering(rules, 1)
    for number in (1, 1, 2, 3, 3):
        shown = item(f"raw/{number}")
        gathering.add(
            Page((shown,), last=False), NOON, [Judged(Arrival(shown, "CREATE"), Found(shown, rules.judge(shown, NOON)))]
        )
    assert keys(gathering.look(complete=True)) == ["1 2"]


async def test_what_waits_is_counted_by_rule(watch: Callable) -> None:
    """An object that is not old enough is held, and when it will be is told."""
    watcher = watch(minAge="PT1H", exclude="*.tmp")
    await watcher.put("raw/a", "raw/b", "raw/c.tmp")
    look = await watcher.look()
    assert (look.batches, look.held, look.backlog.objects) == ([], {"minAge": 2}, 0)
    assert look.ready_in is not None
    assert timedelta(minutes=59) < look.ready_in <= timedelta(hours=1)


async def test_the_oldest_first(watch: Callable) -> None:
    """``order: lastModified`` takes the oldest of all, wherever the listing shows them."""
    watcher = watch(maxKeys=1, order="lastModified")
    await watcher.put("raw/c")
    # The store tells times to the second.
    second = int(time.time())
    await until(lambda: int(time.time()) > second + 1)
    await watcher.put("raw/a", "raw/b")
    look = await watcher.look(2)
    assert (keys(look), look.backlog.objects) == (["c", "a"], 1)


async def test_what_is_known_is_not_judged_again(watch: Callable) -> None:
    """Rules are asked about new objects only."""
    watcher = watch(when="{{ object.size > 0 }}")
    await watcher.put("raw/a", "raw/b")
    assert len(await watcher.claim()) == 2
    watcher.asked.clear()
    await watcher.put("raw/c")
    assert keys(await watcher.look()) == ["c"]
    assert watcher.asked == ["raw/c"]


async def test_a_failing_expression_holds_its_object_alone(watch: Callable) -> None:
    """The others go on, and the trouble is there to be told."""
    watcher = watch(when="{{ 10 / (object.size - 1) > 0 }}")
    await watcher.put("raw/a", content=b"1")
    await watcher.put("raw/b", content=b"12345")
    look = await watcher.look()
    assert (keys(look), look.held) == (["b"], {"expression": 1})
    assert look.trouble is not None


async def test_changes_only(watch: Callable) -> None:
    """With ``on: UPDATE`` what a rule lets wait is not remembered before its time."""
    watcher = watch(on="UPDATE", exclude="*.tmp", doneFile="ok")
    await watcher.put("raw/a", "raw/b.tmp", "raw/ok")
    assert (await watcher.look()).batches == []
    await watcher.put("raw/a", content=b"newer")
    assert keys(await watcher.look()) == ["a ok"]


async def test_captures_are_kept(watch: Callable, journal: Journal) -> None:
    """The parts of the key are on record with the claim."""
    watcher = watch(pattern="raw/{who}/{name}.csv")
    await watcher.put("raw/acme/é.csv")
    [detection] = await watcher.claim()
    kept = await journal.detections.get(detection.id)
    assert kept is not None
    assert (kept.captures, kept.marker) == ({"who": "acme", "name": "é"}, False)


async def test_skipping(watch: Callable) -> None:
    """What is there is remembered and does not fire; what is changed or comes later does."""
    watcher = watch()
    await watcher.put("raw/a", "raw/b")
    await watcher.claimer.skip(watcher.bucket)
    assert (await watcher.look()).batches == []
    await watcher.put("raw/b", content=b"newer")
    await watcher.put("raw/c")
    assert keys(await watcher.look()) == ["b c"]


async def test_a_set_is_claimed_whole(watch: Callable, journal: Journal) -> None:
    """All its batches at once, even with room for one, and the marker with the last."""
    watcher = watch(doneFile="_SUCCESS", maxKeys=2)
    await watcher.put(*(f"raw/{day}/{number}" for day in "ab" for number in range(3)))
    assert (await watcher.look()).held == {"doneFile": 6}
    await watcher.put("raw/a/_SUCCESS", "raw/b/_SUCCESS")
    look = await watcher.look(1)
    assert keys(look) == ["a/0 a/1", "a/2 a/_SUCCESS"]
    assert look.backlog.objects == 3
    claimed = await watcher.claimer.claim(source("NONE"), look)
    assert [item.key for item in claimed if item.marker] == ["raw/a/_SUCCESS"]


async def test_a_manifest_of_the_store(watch: Callable) -> None:
    """A set is taken when all that its manifest lists is there."""
    watcher = watch(manifest="*.manifest")
    await watcher.put("raw/a", "raw/other")
    await watcher.put("raw/day.manifest", content=b'{"files": ["a", "b"]}')
    assert (await watcher.look()).held == {"manifest": 2}
    await watcher.put("raw/b")
    look = await watcher.look()
    assert (keys(look), look.held) == (["a b day.manifest"], {"manifest": 1})


async def test_a_hostile_manifest(watch: Callable) -> None:
    """What reaches out of the prefix keeps its set waiting, and is told."""
    watcher = watch(manifest="*.manifest")
    await watcher.put("raw/a")
    await watcher.put("raw/day.manifest", content=b"a\n../other/secret\n")
    look = await watcher.look()
    assert (look.batches, look.held) == ([], {"manifest": 1})
    assert "'../other/secret'" in str(look.trouble)


async def _claimed_set(watch: Callable) -> tuple[Watcher, list[Detection]]:
    watcher = watch(doneFile="ok", action="DELETE")
    await watcher.put("raw/a", "raw/ok")
    return watcher, await watcher.claim()


async def test_a_marker_left_without_objects_is_given_back(watch: Callable, journal: Journal) -> None:
    """When every object of a set was replaced before it was read, what comes in their place needs the marker still."""
    watcher, (member, marker) = await _claimed_set(watch)
    await journal.detections.stored(source(), marker, uri="kestra:///x", sha256="s", version_id=None)
    await journal.detections.close(source(), member, DetectionState.SUPERSEDED, "replaced")
    assert await journal.executions.newest(limit=1) == []
    given = await journal.detections.get(marker.id)
    assert given is not None
    assert given.state is DetectionState.SUPERSEDED
    assert keys(await watcher.look()) == ["a ok"]


async def test_a_set_does_not_break_up(watch: Callable, journal: Journal) -> None:
    """An object that cannot be read keeps its set waiting, however often it fails."""
    _, (member, marker) = await _claimed_set(watch)
    for _ in range(5):
        for detection in (member, marker):
            current = await journal.detections.get(detection.id)
            assert current is not None
            await journal.detections.postpone(source(), current, next_try="2026-01-01", error="x")
    assert len(await journal.detections.batch(member.batch_id)) == 2


async def test_a_marker_is_no_object(watch: Callable, journal: Journal) -> None:
    """The execution waits until the marker is read, and does not see it."""
    _, (member, marker) = await _claimed_set(watch)
    await journal.detections.stored(source(), member, uri="kestra:///m", sha256="s", version_id=None)
    assert await journal.executions.newest(limit=1) == []
    await journal.detections.stored(source(), marker, uri="kestra:///x", sha256="s", version_id=None)
    [execution] = await journal.executions.newest(limit=1)
    assert execution.held
