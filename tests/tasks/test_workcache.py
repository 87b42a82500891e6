"""Files of a working directory that are kept for the next execution."""

import io
import os
import tarfile
from datetime import timedelta

import pytest

from tidewaiter.config.spec import concrete
from tidewaiter.tasks import workcache
from tidewaiter.tasks.workcache import Cache, restore, save

EVERYTHING = Cache(patterns=("**",))
KEY = ("demo", "orders", "dir")


@pytest.fixture(name="task")
def _task(make_context, tmp_path):
    """Gives the context of the same task in a working directory of its own each time."""

    def task(name="first", key=KEY):
        (tmp_path / name).mkdir(exist_ok=True)
        return make_context(workdir=tmp_path / name, task_key=key)

    return task


def write(context, **contents):
    for name, content in contents.items():
        path = context.workdir / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(context):
    return {
        str(path.relative_to(context.workdir)): path.read_text()
        for path in context.workdir.rglob("*")
        if path.is_file()
    }


def archive(context):
    (found,) = (context.cache / "working-directories").iterdir()
    return found


async def test_what_matches_comes_back(task):
    """Names, contents, modes and times of what matches are those it was saved with."""
    first, second = task("first"), task("second")
    write(first, node_modules__a__x="1", node_modules__y="2", other="3")
    (first.workdir / "node_modules" / "y").chmod(0o750)
    os.utime(first.workdir / "node_modules" / "y", ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    cache = Cache(patterns=("node_modules/**",))
    await save(cache, first)
    await restore(cache, second)
    status = (second.workdir / "node_modules" / "y").stat()

    assert contents(second) == {"node_modules/a/x": "1", "node_modules/y": "2"}
    assert status.st_mode & 0o777 == 0o750
    assert abs(status.st_mtime - 1_700_000_000.123456789) < 0.001


async def test_nothing_was_kept(task):
    """The first time there is nothing to restore; without a cache nothing is done at all."""
    await restore(EVERYTHING, task())
    await restore(None, task())
    await save(None, task())
    assert contents(task()) == {}


async def test_tasks_do_not_share(task):
    """Another flow, task or value has files of its own."""
    write(task("first"), a="1")
    await save(EVERYTHING, task("first"))
    for at, key in enumerate(((*KEY, "value"), ("demo", "orders.dir"), ("demo.orders", "dir"))):
        await restore(EVERYTHING, task(f"t{at}", key))
        assert contents(task(f"t{at}")) == {}


async def test_files_that_are_there_stay(task):
    """After a crash the directory has them already, newer than those that were kept."""
    write(task("first"), a="kept", b="kept")
    await save(EVERYTHING, task("first"))
    write(task("second"), a="newer")
    await restore(EVERYTHING, task("second"))
    assert contents(task("second")) == {"a": "newer", "b": "kept"}


@pytest.mark.parametrize(
    ("change", "saved"),
    [("nothing", False), ("content", True), ("new", True), ("gone", True), ("touched", True), ("elsewhere", False)],
)
async def test_saved_only_when_something_changed(task, change, saved):
    """Of the files that match, one must have come, gone or been written."""
    cache = Cache(patterns=("kept/*",))
    write(task("first"), kept__a="1", kept__b="2")
    await save(cache, task("first"))
    before, second = archive(task()).stat().st_ino, task("second")
    await restore(cache, second)
    path = second.workdir / "kept" / "a"
    {
        "nothing": lambda: None,
        "content": lambda: path.write_text("11"),
        "new": lambda: write(second, kept__c="3"),
        "gone": path.unlink,
        "touched": lambda: os.utime(path),
        "elsewhere": lambda: write(second, other="x"),
    }[change]()
    await save(cache, second)
    assert (archive(task()).stat().st_ino != before) is saved


async def test_too_old(task):
    """What was kept for longer than the ttl is thrown away."""
    write(task("first"), a="1")
    cache = concrete(Cache(patterns=["**"], ttl="{{ t }}"), lambda _: "PT1H")
    await save(cache, task("first"))
    await restore(cache, task("second"))
    assert contents(task("second")) == {"a": "1"}
    hours_ago = archive(task()).stat().st_mtime - timedelta(hours=2).total_seconds()
    os.utime(archive(task()), (hours_ago, hours_ago))
    await restore(cache, task("third"))
    assert (contents(task("third")), list((task().cache / "working-directories").iterdir())) == ({}, [])


async def test_links_are_not_kept(task, tmp_path):
    """A link in the working directory does not bring in what it leads to."""
    (tmp_path / "secret").write_text("s")
    write(task("first"), a="1")
    (task("first").workdir / "link").symlink_to(tmp_path / "secret")
    await save(EVERYTHING, task("first"))
    await restore(EVERYTHING, task("second"))
    assert contents(task("second")) == {"a": "1"}


def entry(name, **properties):
    member = tarfile.TarInfo(name)
    for key, value in properties.items():
        setattr(member, key, value)
    return member


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "in/../out"])
async def test_names_that_lead_outside(task, log, tmp_path, name):
    """A manipulated archive cannot write outside the directory."""
    write(task("first"), a="1")
    await save(EVERYTHING, task("first"))
    with tarfile.open(archive(task()), "w") as tar:
        tar.addfile(entry(name, size=1), io.BytesIO(b"x"))
    await restore(EVERYTHING, task("second"))
    assert (contents(task("second")), (tmp_path / "outside").exists()) == ({}, False)
    assert log.at("WARN")


async def test_members_that_are_links(task, log, tmp_path):
    """Links and devices in a manipulated archive are left out, and nothing is written through them."""
    write(task("first"), a="1")
    await save(EVERYTHING, task("first"))
    with tarfile.open(archive(task()), "w") as tar:
        tar.addfile(entry("way", type=tarfile.SYMTYPE, linkname=str(tmp_path)))
        tar.addfile(entry("hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"))
        tar.addfile(entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3))
        tar.addfile(entry("way/file", size=1), io.BytesIO(b"x"))
    await restore(EVERYTHING, task("second"))
    assert (contents(task("second")), len(log.at("WARN"))) == ({"way/file": "x"}, 3)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("damage", [b"", b"no archive", b"\0" * 20_000])
async def test_a_damaged_archive(task, log, damage):
    """It is thrown away, and the task goes on."""
    write(task("first"), a="1")
    await save(EVERYTHING, task("first"))
    archive(task()).write_bytes(damage)
    await restore(EVERYTHING, task("second"))
    await save(EVERYTHING, task("first"))
    await restore(EVERYTHING, task("third"))
    assert (contents(task("second")), contents(task("third"))) == ({}, {"a": "1"})


async def test_too_much(task, log, monkeypatch):
    """More than the bound is not kept; what was kept before stays."""
    write(task("first"), a="1")
    await save(EVERYTHING, task("first"))
    monkeypatch.setattr(workcache, "MAX_FILES", 1)
    write(task("first"), b="2")
    await save(EVERYTHING, task("first"))
    await restore(EVERYTHING, task("second"))
    assert (contents(task("second")), "narrow the patterns" in log.at("WARN")[0]) == ({"a": "1"}, True)


async def test_a_folder_that_cannot_be_used(task, log):
    """A save that fails is said and fails nothing."""
    write(task("first"), a="1")
    (task("first").cache / "working-directories").write_text("in the way")
    await save(EVERYTHING, task("first"))
    await restore(EVERYTHING, task("second"))
    assert "cannot be saved" in log.at("WARN")[0]
