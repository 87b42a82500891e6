"""Checks of this machine: Python, SQLite, programs that tasks need, the state directory and the disk it is on."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.database.checkup import VERSION, Checkup, check_up, has_wal_reset_bug
from tidewaiter.daemon.doctor.finding import Finding, ok, problem, warning

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "ceph", "glusterfs"})
_PASSING = {"overlay": "a container's own layer", "tmpfs": "memory"}
_LITTLE = 1 << 30
_NOTHING = 64 << 20
_STATE = "state directory"


def versions() -> Iterator[Finding]:
    """Say which Python and SQLite there are."""
    yield ok("python", platform.python_version())
    known = " (can corrupt a journal that two connections write; this one has a single writer)"
    yield ok("sqlite", f"{VERSION}{known if has_wal_reset_bug() else ''}")


def programs() -> Iterator[Finding]:
    """Look for the programs that tasks of the family call."""
    for name, remedy in (("sh", "install a POSIX shell"), ("git", "install git, or use no git tasks")):
        found = shutil.which(name)
        yield ok(name, found) if found else warning(name, "not found in PATH", remedy)


def state_directory(path: Path) -> Iterator[Finding]:
    """Look whether *path* can be written, and on what kind of disk it is, with how much space."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield problem(_STATE, f"{path} cannot be written", f"make {existing} writable for this user, or --state-dir")
        return
    yield ok(_STATE, str(path) if existing == path else f"{path} (will be made)")
    yield _file_system(kind_of(existing, Path("/proc/self/mountinfo").read_text(encoding="utf-8")))
    yield _space(shutil.disk_usage(existing).free)


def kind_of(path: Path, mounts: str) -> str:
    """Give the type of the file system that *path* is on, by the text of ``/proc/self/mountinfo`` (proc(5))."""
    resolved, best, kind = path.resolve(), Path("/"), "unknown"
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].encode().decode("unicode_escape"))
        if resolved.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, right.split()[0]
    return kind


def _file_system(kind: str) -> Finding:
    subject = "file system"
    if kind in _NETWORK:
        return problem(subject, f"{kind}: locks and fsync cannot be relied upon", "use a disk of this machine")
    if kind in _PASSING:
        return warning(subject, f"{kind}: {_PASSING[kind]}, which may not outlive a restart", "use a volume or a disk")
    return ok(subject, kind)


def _space(free: int) -> Finding:
    message = f"{free / (1 << 30):.1f} GiB free"
    if free < _NOTHING:
        return problem("disk space", message, "free some: objects are claimed, but cannot be read")
    return warning("disk space", message, "objects in custody need it") if free < _LITTLE else ok("disk space", message)


def journal(state: Path, *, daemon: bool) -> Iterator[Finding]:
    """Read the journal, unless a *daemon* works on it: that one would have told."""
    path = state / "tidewaiter.db"
    if daemon:
        yield ok("journal", "in use by the daemon; its integrity is checked while none runs")
    elif not path.exists():
        yield ok("journal", "none yet")
    else:
        yield _integrity(path)


def _integrity(path: Path) -> Finding:
    try:
        checkup = check_up(path)
    except DatabaseError as error:
        return problem("journal", error.message, error.hint)
    return _judged(checkup)


def _judged(checkup: Checkup) -> Finding:
    schema = f"schema {checkup.schema} of {checkup.newest}"
    if checkup.damage:
        return problem("journal", f"{schema}, damaged: {checkup.damage[0]}", "restore it from a backup, then run fsck")
    if checkup.schema > checkup.newest:
        return problem("journal", f"{schema}: written by a newer tidewaiter", "upgrade tidewaiter")
    return ok("journal", f"{schema}, whole")
