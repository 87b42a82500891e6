"""A disk that is full: after the first page that is written, after the second, and so on to the last."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, contents, first, scene

_PAGES = {Scale.SHORT: range(0, 30, 6), Scale.FULL: range(64), Scale.LONG: range(256)}
_AT_ONCE = 3
_PAGE = 4096
_DISK_BYTES = 8 << 20
_OBJECTS = 3
_POLL_SECONDS = 2
_WORK_SECONDS = 8
_SETTINGS = QUICK | {"TIDEWAITER_RETRY__MAXIMUM": f"PT{_POLL_SECONDS}S"}


@dataclass(frozen=True, slots=True)
class _Filled:
    """What came of a disk with room for *pages*: whether that was too little, and how long work took to go on."""

    pages: int
    full: bool
    seconds: float
    violations: list[str]


async def disk(setting: Setting) -> list[Figure]:
    """
    Fill a real, small disk up to k pages, for all k, so that the k-th page of the intake fits no more: nothing is lost,
    and when space returns, work goes on by itself within one poll.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def limited(pages: int) -> _Filled:
        async with slots:
            return await _filled(setting, pages)

    tried = await asyncio.gather(*(limited(pages) for pages in _PAGES[setting.scale]))
    full = [item for item in tried if item.full]
    slowest = max((item.seconds for item in full), default=0.0)
    wrong = [f"with {item.pages} pages: {violation}" for item in tried for violation in item.violations]
    return [
        Figure(
            "disk full at the k-th page",
            f"0 lost for all k; goes on within one poll ({_POLL_SECONDS} s) of space, done {_WORK_SECONDS} s later",
            f"{len(wrong)} violations; too small {len(full)} of {len(tried)} times, done after {slowest:.1f} s at most",
            met=not wrong and len(full) > 0 and slowest <= _POLL_SECONDS + _WORK_SECONDS,
            detail={"too small": [item.pages for item in full], "violations": first(wrong)},
        )
    ]


async def _filled(setting: Setting, pages: int) -> _Filled:
    put = contents(_OBJECTS, f"disk {pages}")
    async with scene(setting, "disk", **_SETTINGS) as place:
        with _small_disk(place):
            place.watch(interval=f"PT{_POLL_SECONDS}S", maxKeys=1, maxFiles=1, allowConcurrent=True)
            place.daemon.start()
            await place.daemon.ready()
            await place.daemon.until_looked()
            ballast = _ballast(place.daemon.state, pages * _PAGE)
            await place.fill({name: content.ljust(_PAGE + 1) for name, content in put.items()})
            full = await _full_or_done(place)
            began = time.monotonic()
            ballast.unlink()
            completed = await place.done(_OBJECTS, seconds=30)
            seconds = time.monotonic() - began
            wrong = await place.violations({name: content.ljust(_PAGE + 1) for name, content in put.items()})
            return _Filled(pages, full, seconds, [*wrong, *(() if completed else ("it did not go on",))])


async def _full_or_done(place: Scene) -> bool:
    def complaint() -> bool:
        return any("no space left" in record.get("error", "") for record in place.daemon.records())

    await place.daemon.until(lambda: complaint() or len(place.daemon.done()) == _OBJECTS, "trouble or the end")
    return complaint()


@contextmanager
def _small_disk(place: Scene) -> Iterator[None]:
    """Put the state directory on a disk of its own."""
    state = str(place.daemon.state)
    place.daemon.state.mkdir()
    options = f"size={_DISK_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tidewaiter-test", state], check=True)
    try:
        yield
    finally:
        place.daemon.close()
        subprocess.run(["umount", state], check=True)


def _ballast(disk: Path, leave: int) -> Path:
    """Take all space but *leave* bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave)
    return ballast
