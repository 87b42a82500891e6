"""A state directory that is full or cannot be written: told by its path, and no object is touched."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger

MEBIBYTE = 1 << 20


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@pytest.fixture
def small_disk(daemon: Daemon) -> Iterator[Path]:
    """The state directory on a disk of 12 MiB of its own."""
    if os.geteuid():
        pytest.skip("only root may mount a small disk; CI runs as root")
    daemon.state.mkdir()
    _mount("-t", "tmpfs", "-o", "size=12m,mode=700", "tidewaiter-test", str(daemon.state))
    yield daemon.state
    daemon.close()
    subprocess.run(["umount", str(daemon.state)], check=True)


def _fill(disk: Path, *, leave: int) -> Path:
    """Take all space but *leave* bytes, rounded to pages; gives the file to remove."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(4096, free - leave))
    return ballast


async def _fails(daemon: Daemon, path: Path) -> None:
    """Wait until the log has an error that names *path*."""

    def named() -> bool:
        return any(str(path) in record.get("error", "") for record in daemon.records() if record["level"] == "error")

    await daemon.until(named, f"an error that names {path}")


async def _processed(daemon: Daemon, objects: Any, content: bytes) -> None:
    (item,) = await daemon.until_ended(1)
    assert item["state"] == "SUCCESS"
    assert await objects.keys() == ["archive/a.csv"]
    assert await objects.get("archive/a.csv") == content

    async def well() -> bool:
        return (await daemon.trigger())["state"] == "OK"

    await daemon.until(well, "the trigger to be well")


async def test_no_room_for_the_object(daemon: Daemon, small_disk: Path, objects: Any) -> None:
    """The journal has room, the object has not: it waits in the bucket, and is processed when there is space."""
    content = os.urandom(4 * MEBIBYTE)
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    await daemon.until_looked()
    ballast = _fill(small_disk, leave=2 * MEBIBYTE)
    await objects.put("raw/a.csv", content)
    await _fails(daemon, small_disk / "storage")
    assert (await daemon.trigger())["state"] == "ERROR"
    assert await objects.keys() == ["raw/a.csv"]
    assert await daemon.executions() == []
    ballast.unlink()
    await _processed(daemon, objects, content)


async def test_no_room_for_the_journal(daemon: Daemon, small_disk: Path, objects: Any) -> None:
    """Not a byte is left: nothing can be claimed, so nothing is touched; it goes on by itself when there is space."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    await daemon.until_looked()
    ballast = _fill(small_disk, leave=0)
    for number in range(40):
        # The write-ahead log keeps its room: many claims outgrow it.
        await objects.put(f"raw/{number:02}.csv", b"content")
    await _fails(daemon, small_disk)
    assert set(await objects.keys("raw/")) | {f"raw/{key[8:]}" for key in await objects.keys("archive/")} == {
        f"raw/{number:02}.csv" for number in range(40)
    }
    ballast.unlink()
    executions = await daemon.until_ended(40, seconds=60)
    assert sorted(item["trigger"]["objects"][0]["key"] for item in executions) == [
        f"raw/{number:02}.csv" for number in range(40)
    ]
    assert len(await objects.keys("archive/")) == 40


async def test_start_on_a_full_disk(daemon: Daemon, small_disk: Path, objects: Any) -> None:
    """The daemon does not start without room for its journal, and names the file."""
    _fill(small_disk, leave=0)
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    assert await daemon.ended() == 1
    assert f"no space left to write {small_disk}" in daemon.last_words()
    assert "Traceback" not in daemon.last_words()
    assert await objects.keys() == ["raw/a.csv"]


async def test_start_on_a_read_only_state_directory(daemon: Daemon, small_disk: Path, objects: Any) -> None:
    """The daemon does not start where it cannot write, and names the file."""
    _mount("-o", "remount,ro", str(small_disk))
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    assert await daemon.ended() == 1
    assert str(small_disk) in daemon.last_words()
    assert "Traceback" not in daemon.last_words()
    assert await objects.keys() == ["raw/a.csv"]


async def test_start_where_no_directory_can_be(daemon: Daemon, objects: Any) -> None:
    """A file in the place of the state directory is told as such."""
    daemon.state.write_text("in the way")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    assert await daemon.ended() == 1
    assert str(daemon.state) in daemon.last_words()
    assert "Traceback" not in daemon.last_words()
