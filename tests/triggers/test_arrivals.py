"""What has arrived: matching and destinations, then whole scans on a real store."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tidewaiter.triggers.arrivals import ScanPage, destination, matches, refusal, scan
from tidewaiter.triggers.bucket import Bucket, S3Object
from tidewaiter.triggers.s3 import S3Trigger

MOVE = {"action": "MOVE", "prefix": "raw/", "moveTo": {"key": "archive/"}}


def spec(**properties: Any) -> S3Trigger:
    return S3Trigger.model_validate(
        {"id": "t", "type": "aws.s3.Trigger", "bucket": "b-1", "action": "NONE", **properties}
    )


def listed(key: str, size: int = 1) -> S3Object:
    return S3Object("b-1", key, "e", size, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("filter_", "taken"),
    [("BOTH", ["raw/a", "raw/full/"]), ("FILES", ["raw/a"]), ("DIRECTORY", ["raw/", "raw/full/"])],
)
def test_filter(filter_: str, taken: list[str]) -> None:
    """FILES takes no key with a slash at its end, DIRECTORY only such; BOTH leaves out empty folder markers."""
    objects = [listed("raw/", 0), listed("raw/a"), listed("raw/full/")]
    assert [found.key for found in objects if matches(spec(filter=filter_), found)] == taken


def test_regexp_means_the_whole_key() -> None:
    """The expression must match the key from its first to its last character."""
    assert matches(spec(regexp=r"raw/.*\.csv"), listed("raw/a.csv"))
    assert not matches(spec(regexp=r".*\.csv"), listed("raw/a.csv.gz"))


def test_probe_objects_are_left_out() -> None:
    """Our own probe objects never start a flow."""
    assert not matches(spec(), listed("archive/.tidewaiter-probe-0a1b"))


def test_what_was_moved_is_left_out() -> None:
    """A destination in sight of the trigger is not looked at."""
    watching_all = spec(action="MOVE", moveTo={"key": "archive"}, regexp=".*")
    assert not matches(watching_all, listed("archive/a"))
    assert matches(watching_all, listed("raw/a"))
    assert matches(watching_all, listed("archive.csv"))


@pytest.mark.parametrize("move_to", [{"key": "archive"}, {"key": "raw", "bucket": "b-2"}, {"key": "/"}])
def test_a_destination_out_of_sight_hides_nothing(move_to: dict[str, str]) -> None:
    """A folder that contains the watched prefix, or is in another bucket, leaves every object in sight."""
    assert matches(spec(action="MOVE", prefix="raw/in/", moveTo=move_to), listed("raw/in/a"))


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
    assert refusal(spec(**MOVE), listed("raw/" + "é" * 510))


@pytest.mark.parametrize(
    ("prefix", "folder", "key"),
    [("raw/in/", "raw/", "raw/in/in/a"), ("raw/x", "raw/", "raw/xa")],
)
def test_a_move_that_would_be_found_again_is_refused(prefix: str, folder: str, key: str) -> None:
    """Neither onto itself nor back into sight, whatever combination of prefix, folder and key leads there."""
    moving = spec(action="MOVE", prefix=prefix, moveTo={"key": folder}, preservePath=prefix == "raw/in/")
    assert refusal(moving, listed(key))


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
    assert destination(moving, listed("raw/a/x.csv")) == ("b-1", key)


def test_destination_in_another_bucket() -> None:
    """``moveTo.bucket`` wins over the watched bucket."""
    assert destination(spec(**{**MOVE, "moveTo": {"key": "a", "bucket": "b-2"}}), listed("raw/x")) == ("b-2", "a/x")


def test_destination_keeps_templates_in_keys_as_they_are() -> None:
    """A key is data: nothing in it is an expression."""
    assert destination(spec(**MOVE), listed("raw/{{ 7*7 }}")) == ("b-1", "archive/{{ 7*7 }}")


@pytest.fixture
def watch(bucket: Bucket, s3: Any) -> Callable:
    """Put objects, then scan for a trigger with the given properties."""

    async def watch(*keys: str, **properties: Any) -> list[ScanPage]:
        for key in keys:
            await s3.put_object(Bucket=bucket.name, Key=key, Body=b"" if key.endswith("/") else b"x")
        return [page async for page in scan(bucket, spec(**{**properties, "bucket": bucket.name}))]

    return watch


async def test_scan_sorts_what_is_there(watch: Callable) -> None:
    """A page shows everything listed, what is to be taken, and what is set aside with the reason."""
    (page,) = await watch("raw/", "raw/a.csv", "raw/b.txt", "raw/c\n.csv", regexp=r"(?s).*\.csv", **MOVE)
    assert [found.key for found in page.listed] == ["raw/", "raw/a.csv", "raw/b.txt", "raw/c\n.csv"]
    assert [found.key for found in page.matching] == ["raw/a.csv"]
    assert [(refused.object.key, refused.reason) for refused in page.refused] == [
        ("raw/c\n.csv", "its key has control characters")]  # fmt: skip
    assert page.last


async def test_limits_do_not_limit_the_listing(watch: Callable) -> None:
    """A folder marker and ``maxKeys: 1`` do not hide the file after it (kestra.md D4, D5)."""
    (page,) = await watch("raw/", "raw/a", "raw/b", maxKeys=1, maxFiles=1, filter="FILES", **MOVE)
    assert [found.key for found in page.matching] == ["raw/a", "raw/b"]


async def test_scan_starts_after_the_marker(watch: Callable) -> None:
    """``marker`` names the last key that is of no interest."""
    (page,) = await watch("raw/a", "raw/b", "raw/c", prefix="raw/", marker="raw/a")
    assert [found.key for found in page.matching] == ["raw/b", "raw/c"]


async def test_scan_stays_on_one_level_with_a_delimiter(watch: Callable) -> None:
    """With a delimiter only the objects of the first level arrive."""
    (page,) = await watch("raw/a", "raw/deep/b", prefix="raw/", delimiter="/")
    assert [found.key for found in page.matching] == ["raw/a"]
