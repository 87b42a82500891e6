"""Which triggers get in each other's way, and which do not."""

import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from tidewaiter.config.errors import Problem
from tidewaiter.daemon.flows import AnyTrigger
from tidewaiter.triggers.overlaps import Place, Reach, conflict, reach

TRIGGERS: TypeAdapter[Any] = TypeAdapter(AnyTrigger)
DELETE = {"action": "DELETE"}


def maybe(name: str = "demo.a/in", **properties: Any) -> Reach | None:
    written = {"id": "in", "type": "aws.s3.Trigger", "bucket": "harbour", "prefix": "raw/", "action": "DELETE"}
    return reach(TRIGGERS.validate_python(written | properties), Place(name, f"{name[5]}.yaml", 5, 3))


def trigger(name: str = "demo.a/in", **properties: Any) -> Reach:
    found = maybe(name, **properties)
    assert found is not None
    return found


def moving(name: str, prefix: str, folder: str, **properties: Any) -> Reach:
    return trigger(f"demo.{name}/in", prefix=prefix, action="MOVE", moveTo={"key": folder}, **properties)


def between(*reaches: Reach) -> Problem | None:
    """The first conflict, when these are served one after the other."""
    found = (conflict(reaches[:at], [reaches[at]]) for at in range(len(reaches)))
    return next((problem for problem in found if problem), None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (DELETE, DELETE),
        (DELETE, {"prefix": "raw/sub/", "action": "NONE"}),
        ({"prefix": ""}, {"prefix": "x/"}),
        ({"regexp": r".*\.csv"}, {"regexp": r"raw/a.*"}),
        ({"filter": "FILES"}, {"filter": "BOTH"}),
        ({"delimiter": "/"}, DELETE),
        ({"endpointOverride": "http://Store:80/"}, {"endpointOverride": "http://store"}),
        ({"endpointOverride": "https://s3.eu-central-1.amazonaws.com"}, {"region": "us-east-1"}),
        ({"prefix": "raw/"}, {"prefix": "raw/{{ flow.id }}/"}),
    ],
)
def test_triggers_that_take_the_same_objects_conflict(one: dict[str, Any], other: dict[str, Any]) -> None:
    """When one of two removes what both mean, each object reaches only one of them, whichever comes first."""
    first, second = trigger("demo.a/in", **one), trigger("demo.b/in", **other)
    assert between(first, second)
    assert between(second, first)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"action": "NONE"}, {"action": "NONE"}),
        (DELETE, {"prefix": "other/"}),
        (DELETE, {"bucket": "other"}),
        (DELETE, {"endpointOverride": "http://127.0.0.1:9000"}),
        ({"regexp": r".*\.csv"}, {"regexp": r".*\.parquet"}),
        ({"regexp": r"raw/a.*"}, {"regexp": r"raw/b.*"}),
        ({"filter": "FILES"}, {"filter": "DIRECTORY"}),
        ({"delimiter": "/"}, {"prefix": "raw/sub/"}),
        ({"allowOverlap": True}, DELETE),
        ({"prefix": "raw/{{ a }}"}, {"prefix": "raw/{{ b }}"}),
        ({"prefix": "{{ a }}"}, {"prefix": "raw/x"}),
    ],
)
def test_triggers_that_do_not_meet_go_together(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Different objects, as far as can be told, or the author says that it is meant."""
    assert between(trigger("demo.a/in", **one), trigger("demo.b/in", **other)) is None


def test_both_places_are_named() -> None:
    """The problem is at the later trigger and tells where the other one is, and what helps."""
    problem = between(trigger("demo.a/in"), trigger("demo.b/in", action="NONE"))
    assert problem is not None
    assert str(problem).startswith("b.yaml:5:3: trigger demo.b/in (NONE) watches s3://harbour/raw/")
    assert "demo.a/in (a.yaml:5:3)" in problem.message
    assert "allowOverlap: true" in (problem.hint or "")


@pytest.mark.parametrize("name", ["bucket", "endpointOverride", "regexp", "filter", "action", "delimiter"])
def test_what_an_expression_keeps_open_is_not_compared(name: str) -> None:
    """Without its bucket and its choice of keys nothing certain can be said of a trigger."""
    assert maybe(**{name: "{{ secret('X') }}", "moveTo": {"key": "archive/"}}) is None


def test_two_triggers_of_one_flow_conflict() -> None:
    """A flow is not in its own way either."""
    assert conflict([], [trigger("demo.a/one"), trigger("demo.a/two")])


@pytest.mark.parametrize("length", [2, 3, 7])
def test_moves_in_a_circle_are_refused(length: int) -> None:
    """Over any number of flows; every place is named."""
    names = "abcdefg"[:length]
    circle = [moving(name, f"{name}/", f"{names[(at + 1) % length]}/") for at, name in enumerate(names)]
    problem = between(*circle)
    assert problem is not None
    assert all(f"demo.{name}/in ({name}.yaml:5:3)" in problem.message for name in names)
    assert problem.file == f"{names[-1]}.yaml"


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (("in/", "out"), ("out/", "in")),
        (("in/", "out/{{ now() }}/"), ("out/", "in")),
        (("in/", "out"), ("out/report-", "in")),
    ],
)
def test_circles_of_two(there: tuple[str, str], back: tuple[str, str]) -> None:
    """A folder with an expression at its end, or a prefix that some of the moved names have, closes a circle, too."""
    assert between(moving("a", *there), moving("b", *back))


@pytest.mark.parametrize(
    ("there", "back", "properties"),
    [
        (("in/", "out"), ("out/", "archive"), {}),
        (("in/", "out"), ("out/sub/", "in"), {}),
        (("in/", "out/sub"), ("out/", "in"), {"delimiter": "/"}),
        (("in/", "out"), ("out/", "in"), {"filter": "DIRECTORY"}),
        (("in/", "out"), ("out/", "in"), {"regexp": r"out/.*\.err"}),
        (("in/", "out"), ("out/", "in"), {"allowOverlap": True}),
        (("in/", "{{ a }}out"), ("out/", "in"), {}),
    ],
)
def test_chains_are_legal(there: tuple[str, str], back: tuple[str, str], properties: dict[str, Any]) -> None:
    """Raw to staged to archive is useful; what does not surely come back is no circle."""
    assert between(moving("a", *there, regexp=r".*\.csv"), moving("b", *back, **properties)) is None


def test_deep_moves_close_circles_in_subfolders() -> None:
    """With 'preservePath' a moved object may well lie in a folder below."""
    assert between(moving("a", "in/", "out", preservePath=True), moving("b", "out/sub/", "in"))


def test_a_circle_beside_the_new_flow_is_not_its_fault() -> None:
    """Only circles that the new trigger is part of are told of it."""
    circle = (moving("a", "a/", "b"), moving("b", "b/", "a"))
    assert conflict(circle, [moving("c", "c/", "a")]) is None


def test_a_thousand_triggers_are_compared_in_no_time() -> None:
    """Every pair is looked at; a thousand moving triggers of one bucket take less than seconds."""
    started = time.monotonic()
    reaches = [moving("a", f"in/{at}/", f"out/{at}") for at in range(1000)]
    assert conflict(reaches[:-200], reaches[-200:]) is None
    assert time.monotonic() - started < 20


def test_what_follows_an_execution_removes_and_moves_as_well() -> None:
    """An object deleted after success is lost for another trigger, and a quarantine that is watched closes a circle."""
    later = trigger("demo.b/in", action="NONE", onSuccess={"action": "DELETE"})
    assert between(trigger("demo.a/in", action="NONE"), later)
    bad = {"moveTo": {"key": "bad/"}}
    circle = between(trigger("demo.a/in", onFailure=bad), moving("b", "bad/", "raw/"))
    assert circle
    assert "s3://harbour/bad/" in circle.message


def test_patterns_keep_triggers_apart() -> None:
    """Keys that begin or end differently are no one's in common."""
    csv, json = ({"pattern": f"raw/{{name}}.{kind}"} for kind in ("csv", "json"))
    assert between(trigger("demo.a/in", **csv), trigger("demo.b/in", **json)) is None
    assert between(trigger("demo.a/in", **csv), trigger("demo.b/in", pattern="raw/{day}-{name}.csv"))
