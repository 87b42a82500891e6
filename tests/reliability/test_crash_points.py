"""From a trace to the points where a daemon can be killed."""

from pathlib import Path

import pytest
from reliability.crash_points import Point, points, spread, strace

TRACE = """\
10<python> openat(AT_FDCWD, "/flows", O_RDONLY) = 3
10<python> openat(AT_FDCWD, "/state/tidewaiter.db", O_RDWR|O_CREAT) = 4
10<python> pwrite64(4, "SQLite", 6, 0) = 6
11<python> pwrite64(4, "other thread", 12, 0) = 12
11<python> pwrite64(4, "and again", 9, 0) = 9
12<sh> write(1, "a task", 6) = 6
10<python> write(2, "later than the task", 19 <unfinished ...>
10<python> openat(AT_FDCWD, "/proc/12/stat", O_RDONLY) = 5
10<python> <... write resumed>) = 19
12<sh> +++ exited with 0 +++
"""


def test_points_of_a_trace(tmp_path: Path) -> None:
    """From the journal on, each name and number once, where a thread of the daemon came first, and no look at /proc."""
    (tmp_path / "trace").write_text(TRACE)
    assert points(tmp_path / "trace") == [Point("openat", 2), Point("pwrite64", 1), Point("pwrite64", 2)]


@pytest.mark.parametrize(("number", "chosen"), [(2, [0, 2]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_points_are_spread(number: int, chosen: list[int]) -> None:
    """Some, evenly; never more than there are."""
    assert spread([Point("write", at) for at in range(4)], number) == [Point("write", at) for at in chosen]


def test_a_point_that_was_not_reached_comes_earlier() -> None:
    """Each time somewhat, and never before the first call."""
    assert [Point("recvfrom", 100).earlier(times).number for times in range(3)] == [100, 95, 90]
    assert Point("fsync", 2).earlier(5).number == 1


def test_the_kill_is_asked_of_strace(tmp_path: Path) -> None:
    """SIGKILL at the entry of that call."""
    assert "--inject=fsync:signal=SIGKILL:when=3" in strace(tmp_path / "trace", Point("fsync", 3))
