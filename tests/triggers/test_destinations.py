"""Where objects move to, and which are not to be touched."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.destinations import destination, objection, refusal, was_moved
from tidewaiter.triggers.s3 import S3Trigger

MOVE = {"action": "MOVE", "prefix": "raw/", "moveTo": {"key": "archive/"}}


def spec(**properties: Any) -> S3Trigger:
    return S3Trigger.model_validate(
        {"id": "t", "type": "aws.s3.Trigger", "bucket": "b-1", "action": "NONE", **properties}
    )


def listed(key: str, size: int = 1) -> S3Object:
    return S3Object("b-1", key, "e", size, datetime(2026, 1, 1, tzinfo=UTC))


def render(source: str) -> str:
    """Stands in for an engine that knows one expression for each name."""
    return source.replace("{{ object.name }}", "x.csv").replace("{{ object.captures.a }}", "acme")


def place(moving: S3Trigger, key: str) -> tuple[str, str]:
    return destination(moving, listed(key), moving.move_to, render)


def problem(moving: S3Trigger, key: str, hostile: str = "") -> str | None:
    """Why an object must not move where *moving* sends it; *hostile* is what its expressions give."""
    item = listed(key)
    where = destination(moving, item, moving.move_to, (lambda _source: hostile) if hostile else render)
    return objection(moving, item, moving.move_to, where, lambda _key: True)


def test_what_was_moved_is_known() -> None:
    """A destination in sight of the trigger holds its own work."""
    watching_all = spec(action="MOVE", moveTo={"key": "archive"}, regexp=".*")
    assert was_moved(watching_all, "archive/a")
    assert not was_moved(watching_all, "raw/a")
    assert not was_moved(watching_all, "archive.csv")


@pytest.mark.parametrize("move_to", [{"key": "archive"}, {"key": "raw", "bucket": "b-2"}, {"key": "/"}])
def test_a_destination_out_of_sight_hides_nothing(move_to: dict[str, str]) -> None:
    """A folder that contains the watched prefix, or is in another bucket, leaves every object in sight."""
    assert not was_moved(spec(action="MOVE", prefix="raw/in/", moveTo=move_to), "raw/in/a")


@pytest.mark.parametrize("key", ["raw/../x", "raw/a\nb", "raw/\0"])
@pytest.mark.parametrize("properties", [MOVE, {"action": "DELETE"}])
def test_dangerous_keys_are_not_touched(key: str, properties: dict[str, Any]) -> None:
    """Keys that might mean another object are neither moved nor deleted."""
    assert refusal(spec(**properties), listed(key))


def test_dangerous_keys_may_be_read() -> None:
    """Without an action there is nothing to endanger."""
    assert refusal(spec(action="NONE"), listed("raw/../x")) is None


@pytest.mark.parametrize("properties", [MOVE, {"action": "DELETE"}])
def test_folder_markers_are_not_touched(properties: dict[str, Any]) -> None:
    """An empty object that makes a folder appear stays, even when the filter selects it."""
    assert refusal(spec(filter="DIRECTORY", **properties), listed("raw/", 0))


def test_an_object_without_a_name_is_not_moved() -> None:
    """A key with a slash at its end has no name to move to."""
    assert refusal(spec(**MOVE), listed("raw/full/"))
    assert refusal(spec(action="DELETE"), listed("raw/full/")) is None


def test_a_key_too_long_for_its_destination_is_not_moved() -> None:
    """S3 takes keys of at most 1024 bytes."""
    assert problem(spec(**MOVE), "raw/" + "é" * 510) == "its key at the destination would be longer than 1024 bytes"


@pytest.mark.parametrize(
    ("prefix", "folder", "key"),
    [("raw/in/", "raw/", "raw/in/in/a"), ("raw/x", "raw/", "raw/xa")],
)
def test_a_move_that_would_be_found_again_is_refused(prefix: str, folder: str, key: str) -> None:
    """Neither onto itself nor back into sight, whatever combination of prefix, folder and key leads there."""
    assert problem(spec(action="MOVE", prefix=prefix, moveTo={"key": folder}, preservePath=prefix == "raw/in/"), key)


@pytest.mark.parametrize(
    ("folder", "preserve", "key"),
    [
        ("archive", False, "archive/x.csv"), ("archive///", False, "archive/x.csv"),
        ("archive/raw/", False, "archive/raw/x.csv"),
        ("/", False, "x.csv"), ("archive", True, "archive/a/x.csv"),
    ],
)  # fmt: skip
def test_destination(folder: str, preserve: bool, key: str) -> None:
    """The folder and the name, with the folders between when they are to be kept; slashes at the end do not matter."""
    moving = spec(action="MOVE", prefix="raw/", moveTo={"key": folder}, preservePath=preserve)
    assert place(moving, "raw/a/x.csv") == ("b-1", key)


def test_destination_in_another_bucket() -> None:
    """``moveTo.bucket`` wins over the watched bucket."""
    assert place(spec(**{**MOVE, "moveTo": {"key": "a", "bucket": "b-2"}}), "raw/x") == ("b-2", "a/x")


def test_destination_keeps_templates_in_keys_as_they_are() -> None:
    """A key is data: nothing in it is an expression."""
    assert place(spec(**MOVE), "raw/{{ 7*7 }}") == ("b-1", "archive/{{ 7*7 }}")


def test_each_object_may_have_its_own_destination() -> None:
    """Folder and name may be made of what is known of the object."""
    move = {"key": "done/{{ object.captures.a }}", "name": "1-{{ object.name }}"}
    assert place(spec(**MOVE | {"moveTo": move}), "raw/x.csv") == ("b-1", "done/acme/1-x.csv")


def test_a_name_may_be_the_same_for_all() -> None:
    """What a name without an expression does to the second object, ``onConflict`` decides."""
    assert place(spec(**MOVE | {"moveTo": {"key": "done", "name": "latest"}}), "raw/a/x.csv") == ("b-1", "done/latest")


@pytest.mark.parametrize(
    "hostile", ["..", "../x", "a/../../b", "a\nb", "\0", "/", "//", " \\..\\ /..", "a//b", "x" * 1100]
)
@pytest.mark.parametrize(
    "move", [{"key": "done/{{ object.captures.a }}"}, {"key": "done", "name": "{{ object.captures.a }}"}]
)
def test_hostile_values_never_make_a_destination(move: dict[str, str], hostile: str) -> None:
    """What an expression gives is held to what is asked of keys."""
    if hostile.strip("/") or "name" in move:
        assert problem(spec(**MOVE | {"moveTo": move}), "raw/x.csv", hostile)


def test_an_expression_that_gives_nothing_does_not_mean_the_top() -> None:
    """An empty folder is no destination that anybody wrote down."""
    moving = spec(**MOVE | {"moveTo": {"key": "{{ object.captures.a }}"}})
    item = listed("raw/x.csv")
    where = destination(moving, item, moving.move_to, lambda _source: "")
    assert objection(moving, item, moving.move_to, where, lambda _key: True)


def test_an_own_destination_may_lie_in_sight_if_no_rule_means_it() -> None:
    """What the rules leave out is not found again."""
    moving = spec(**MOVE | {"moveTo": {"key": "raw/{{ object.captures.a }}/done"}})
    item = listed("raw/x.csv")
    where = destination(moving, item, moving.move_to, render)
    assert objection(moving, item, moving.move_to, where, lambda _key: False) is None
    assert (
        objection(moving, item, moving.move_to, where, lambda _key: True)
        == "its destination would be found again by the trigger"
    )
