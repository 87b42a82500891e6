"""Which objects go together, and when: groups, quiet sets, done files and manifests."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.manifests import ManifestError
from tidewaiter.triggers.rules import Found, Kind, Rules
from tidewaiter.triggers.s3 import S3Trigger
from tidewaiter.triggers.sets import Batch, ObjectSet, Sight, batches, form_sets

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EXPRESSIONS = Expressions()


def render(source: str, item: Mapping[str, Any]) -> str:
    return EXPRESSIONS.render(source, Scope({"object": item}))


def rules(**properties: Any) -> Rules:
    written = {"id": "t", "type": "aws.s3.Trigger", "bucket": "b-1", "prefix": "raw/", "action": "NONE", **properties}
    return Rules.of(S3Trigger.model_validate(written), render)


def item(key: str, old: float = 100) -> S3Object:
    return S3Object("b-1", f"raw/{key}", "e", 1, NOON - timedelta(seconds=old))


def formed(own: Rules, *objects: S3Object, others: Iterable[S3Object] = (), **said: Any) -> list[ObjectSet]:
    """Form sets of what the rules mean of *objects*; *others* are known already, *said* is what manifests list."""
    judged = [Found(each, own.judge(each, NOON)) for each in objects]
    waiting = [found for found in judged if found.verdict.kind in {Kind.TAKE, Kind.WAIT}]
    markers = {each.key: each for each in (*objects, *others) if own.may_mark(each.key)}
    manifests = {
        f"raw/{name}.manifest": keys if isinstance(keys, ManifestError) else frozenset(f"raw/{key}" for key in keys)
        for name, keys in said.items()
    }
    return form_sets(own, Sight(NOON, waiting, markers, manifests))


def names(objects: Iterable[Found]) -> str:
    return " ".join(found.object.key.removeprefix("raw/") for found in objects)


def ready(sets: Iterable[ObjectSet]) -> list[str]:
    return [names(each.ready) for each in sets if each.ready]


def held(sets: Iterable[ObjectSet]) -> dict[str, str]:
    waiting = [found for each in sets for found in each.members if found.verdict.kind is Kind.WAIT]
    return {found.object.key.removeprefix("raw/"): f"{found.verdict.rule}: {found.verdict.reason}" for found in waiting}


def cut(own: Rules, sets: Iterable[ObjectSet]) -> list[str]:
    def shown(batch: Batch) -> str:
        return names(batch.objects) + (f" + {names([batch.marker])}" if batch.marker else "")

    return [shown(batch) for each in sets for batch in batches(own, each)]


def test_groups() -> None:
    """Objects with one value of the capture go together, and no batch has two values."""
    own = rules(pattern="raw/{who}/{name}", groupBy="who", maxKeys=2)
    sets = formed(own, item("a/1"), item("b/1"), item("a/2"), item("b/2"), item("a/3"))
    assert cut(own, sets) == ["a/1 a/2", "a/3", "b/1 b/2"]


def test_groups_in_the_order_of_time() -> None:
    """With ``order: lastModified`` the oldest comes first, within a group and among them."""
    own = rules(pattern="raw/{who}/{name}", groupBy="who", order="lastModified")
    assert ready(formed(own, item("a/1", 10), item("a/2", 20), item("b/1", 15), item("c/1", 30))) == [
        "c/1",
        "a/2 a/1",
        "b/1",
    ]


def test_too_few() -> None:
    """No execution gets fewer than ``minObjects``; what is left over waits for more."""
    own = rules(minObjects=2, maxKeys=3)
    assert ready(formed(own, *map(item, "ab"))) == ["raw/a raw/b".replace("raw/", "")]
    four = formed(own, *map(item, "abcd"))
    assert (cut(own, four), list(held(four))) == (["a b c"], ["d"])
    assert cut(own, formed(own, *map(item, "abcde"))) == ["a b c", "d e"]
    one = formed(own, item("a"))
    assert held(one) == {"a": "minObjects: there are 1 of at least 2 objects for an execution (minObjects)"}


def test_too_few_in_a_group() -> None:
    """The number is asked of each group."""
    own = rules(pattern="raw/{who}/{name}", groupBy="who", minObjects=2)
    assert ready(formed(own, item("a/1"), item("a/2"), item("b/1"))) == ["a/1 a/2"]


def test_not_quiet() -> None:
    """The newest object of a set decides, and when it will be quiet is told."""
    own = rules(quietFor="PT30S")
    sets = formed(own, item("a"), item("b", 4))
    reason = "quietFor: the newest object of its set is 4 s old; quietFor PT30S ends at 12:00:26Z"
    assert held(sets) == {"a": reason, "b": reason}
    assert {found.verdict.until for found in sets[0].members} == {NOON + timedelta(seconds=26)}
    assert ready(formed(own, item("a"), item("b", 30))) == ["a b"]


def test_each_group_is_quiet_for_itself() -> None:
    """A busy group does not hold another one."""
    own = rules(pattern="raw/{who}/{name}", groupBy="who", quietFor="PT30S")
    assert ready(formed(own, item("a/1"), item("b/1", 1))) == ["a/1"]


def test_what_is_too_young_counts_for_quiet() -> None:
    """An object that waits by itself is part of its set."""
    own = rules(minAge="PT10S", quietFor="PT30S")
    assert list(held(formed(own, item("a"), item("b", 5)))) == ["a", "b"]


def test_a_done_file_completes_its_folder() -> None:
    """What lies beside the marker is a set; another folder waits for its own."""
    own = rules(doneFile="_SUCCESS", maxKeys=2)
    sets = formed(own, item("a/1"), item("a/2"), item("a/3"), item("a/_SUCCESS"), item("b/1"))
    assert cut(own, sets) == ["a/1 a/2", "a/3 + a/_SUCCESS"]
    assert held(sets) == {"b/1": "doneFile: its done file 'raw/b/_SUCCESS' is not there"}


def test_a_done_file_of_each_object() -> None:
    """With an expression each object has its own marker, which is no object, whatever the other rules say of it."""
    own = rules(doneFile="{{ object.name }}.done")
    sets = formed(own, item("a.csv"), item("a.csv.done"), item("b.csv"))
    assert cut(own, sets) == ["a.csv + a.csv.done"]
    assert list(held(sets)) == ["b.csv"]


def test_a_marker_may_be_known() -> None:
    """A marker that was there before makes what comes later complete, too."""
    own = rules(doneFile="_SUCCESS")
    assert ready(formed(own, item("a/1"), others=[item("a/_SUCCESS")])) == ["a/1"]


def test_a_marker_alone() -> None:
    """Without objects there is nothing to take."""
    assert ready(formed(rules(doneFile="_SUCCESS"), item("a/_SUCCESS"))) == []
    assert ready(formed(rules(doneFile="{{ object.name }}.done"), item("a.csv.done"))) == []


def test_a_set_goes_whole_or_not_at_all() -> None:
    """An object that is too young keeps its set, since the marker would leave with the others."""
    sets = formed(rules(doneFile="ok", minAge="PT10S"), item("a/1"), item("a/2", 4), item("a/ok"))
    assert ready(sets) == []
    assert (
        held(sets)["a/1"] == "minAge: 'raw/a/2' of its set waits: it is 4 s old; minAge PT10S lets it in at 12:00:06Z"
    )


def test_a_marker_and_a_number() -> None:
    """Both must hold; the number is that of the set, however it is divided."""
    own = rules(doneFile="ok", minObjects=3, maxKeys=2)
    assert ready(formed(own, item("a/1"), item("a/2"), item("a/ok"))) == []
    assert cut(own, formed(own, item("a/1"), item("a/2"), item("a/3"), item("a/ok"))) == ["a/1 a/2", "a/3 + a/ok"]


def test_a_manifest_completes_what_it_lists() -> None:
    """A set is complete when all its members are listed; what no manifest names waits."""
    own = rules(manifest="*.manifest")
    sets = formed(own, item("1"), item("2"), item("3"), item("x.manifest"), item("y.manifest"), x=["1"], y=["2", "4"])
    assert cut(own, sets) == ["1 + x.manifest"]
    assert held(sets) == {
        "2": "manifest: manifest 'raw/y.manifest' names 'raw/4', which is not there yet",
        "3": "manifest: no manifest names it",
    }


def test_members_that_are_known_or_not_meant_count_as_there() -> None:
    """A manifest may list what was taken before, or what a rule leaves out."""
    own = rules(manifest="*.manifest", exclude="*.log")
    listed = [item("1"), item("2.log"), item("x.manifest")]
    assert cut(own, formed(own, *listed, others=[item("0")], x=["0", "1", "2.log"])) == ["1 + x.manifest"]


def test_a_bad_manifest_is_told_to_those_that_wait() -> None:
    """Which set is meant is not known: all that no other manifest names waits."""
    bad = ManifestError(item("x.manifest"), "it is garbled")
    sets = formed(rules(manifest="*.manifest"), item("1"), item("x.manifest"), x=bad)
    assert "no manifest names it, but one cannot be read: manifest 'raw/x.manifest'" in held(sets)["1"]


def test_a_marker_moves_with_what_its_set_shares() -> None:
    """Captures that all objects of a set have in common make the marker's destination, too."""
    move = {"key": "done/{{ object.captures.who }}"}
    own = rules(pattern="raw/{who}/{n}.csv", doneFile="ok", action="MOVE", moveTo=move)
    [each] = formed(own, item("a/1.csv"), item("a/2.csv"), item("a/ok"))
    assert each.marker is not None
    assert each.marker.verdict.destination == ("b-1", "done/a/ok")


@pytest.mark.parametrize("folder", ["done/{{ object.captures.n }}", "{{ object.captures.n | default('..') }}"])
def test_a_marker_that_cannot_be_moved_keeps_its_set(folder: str) -> None:
    """A marker without a destination would stay behind and make every later set complete."""
    own = rules(pattern="raw/{who}/{n}.csv", doneFile="ok", action="MOVE", moveTo={"key": folder})
    sets = formed(own, item("a/1.csv"), item("a/2.csv"), item("a/ok"))
    assert ready(sets) == []
    assert all("its marker cannot be moved" in text or "marker 'raw/a/ok'" in text for text in held(sets).values())
