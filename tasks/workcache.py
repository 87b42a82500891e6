"""
Files of a working directory that are kept for the next execution of the same task: its property ``cache`` (kestra.md
§1.6).

A cache saves time and never fails a task: what goes wrong with it is said in the log.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import tarfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, cast

from pydantic import Field

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import PositiveDuration
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.files import Glob, replacing
from tidewaiter.tasks.globs import matcher, regular_files
from tidewaiter.tasks.lines import Steps, in_steps

MAX_FILES = 100_000
MAX_BYTES = 10 * 1024**3
"""What is kept at most: this many files, and bytes of all of them together."""

_CHUNK = 1 << 20
_CLOSE = 0.001  # seconds; a time in an archive is a floating-point number
_TROUBLE = (OSError, tarfile.TarError, TaskError, UnicodeError)

Found = tuple[str, Path, os.stat_result]


class Cache(Spec):
    """What to keep: the regular files that match *patterns*, for *ttl* after they were saved, or until they change."""

    patterns: Dynamic[Annotated[tuple[Glob, ...], Field(min_length=1)]]
    """Globs for the files to keep."""
    ttl: Dynamic[PositiveDuration | None] = None
    """How long they are kept; without it, until others take their place."""


async def restore(cache: Cache | None, context: TaskContext) -> None:
    """
    Put the files that were kept into the working directory; those that are there already stay as they are. What is kept
    for longer than its *ttl*, and what cannot be read, is thrown away.
    """
    archive = _archive(context)
    if cache is None or not archive.exists():
        return
    try:
        if cache.ttl and time.time() - archive.stat().st_mtime > cache.ttl.total_seconds():
            archive.unlink(missing_ok=True)
            return
        count = await in_steps(_unpack(archive, context))
        context.log("DEBUG", f"cache: {count} files restored")
    except _TROUBLE as error:
        context.log("WARN", f"cache: cannot be restored and is thrown away: {error}")
        archive.unlink(missing_ok=True)


async def save(cache: Cache | None, context: TaskContext) -> None:
    """
    Keep the files that match, in place of what was kept, unless they are the same. Call it only after success; what is
    kept changes at once or not at all.
    """
    if cache is None:
        return
    archive = _archive(context)
    try:
        found = await asyncio.to_thread(_matching, context.workdir, cache.patterns)
        if archive.exists() and await in_steps(_unchanged(archive, found)):
            context.log("DEBUG", "cache: nothing has changed")
            return
        await in_steps(_pack(archive, found))
        context.log("DEBUG", f"cache: {len(found)} files kept")
    except _TROUBLE as error:
        context.log("WARN", f"cache: cannot be saved: {error}")


def _archive(context: TaskContext) -> Path:
    """Give where the files of this task are kept, whatever its flow and its values are called."""
    name = hashlib.sha256(json.dumps(context.task_key).encode()).hexdigest()
    return context.cache / "working-directories" / f"{name}.tar"


def _matching(root: Path, patterns: Sequence[str]) -> list[Found]:
    matchers = [matcher(pattern, root) for pattern in patterns]
    found: list[Found] = []
    size = 0
    for name, path in regular_files(root):
        if any(expression.fullmatch(str(path)) for expression in matchers):
            status = path.lstat()
            found.append((name, path, status))
            size += status.st_size
        if len(found) > MAX_FILES or size > MAX_BYTES:
            raise TaskError(f"more than {MAX_FILES} files or {MAX_BYTES >> 30} GiB match", "narrow the patterns")
    return found


def _members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Give the entries of *archive* one by one, without remembering them."""
    with tarfile.open(archive, "r|") as tar:
        while (member := tar.next()) is not None:
            _forget(tar)
            yield member, tar.extractfile(member) if member.isreg() else None


def _unpack(archive: Path, context: TaskContext) -> Steps[int]:
    """Restore what is a regular file with a name inside the directory; programs may have written to the archive."""
    count = size = 0
    for member, content in _members(archive):
        size += member.size
        if count >= MAX_FILES or size > MAX_BYTES:
            raise TaskError("it has become too big")
        if content is None:
            context.log("WARN", f"cache: {member.name!r} is no regular file and is left out")
        elif not os.path.lexists(context.workdir / member.name):
            yield from _restored(member, content, context.workdir)
            count += 1
    return count


def _restored(member: tarfile.TarInfo, content: IO[bytes], workdir: Path) -> Steps[None]:
    with replacing(workdir, member.name) as destination, destination.open("xb") as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
            yield
        file.flush()
        moment = round(member.mtime * 1e9)
        os.utime(file.fileno(), ns=(moment, moment))
        os.fchmod(file.fileno(), member.mode & 0o777)


def _unchanged(archive: Path, found: Sequence[Found]) -> Steps[bool]:
    left = {name: status for name, _, status in found}
    for member, _ in _members(archive):
        status = left.pop(member.name, None)
        if status is None or member.size != status.st_size or abs(member.mtime - status.st_mtime) > _CLOSE:
            return False
        yield
    return not left


def _pack(archive: Path, found: Sequence[Found]) -> Steps[None]:
    archive.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = archive.with_suffix(f".{uuid.uuid4().hex}.tmp")
    with contextlib.ExitStack() as undo:
        undo.callback(temporary.unlink, missing_ok=True)
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, path, status in found:
                _add(tar, name, path, status)
                yield
        temporary.rename(archive)


def _add(tar: tarfile.TarFile, name: str, path: Path, status: os.stat_result) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = status.st_size, status.st_mtime, status.st_mode & 0o777
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        tar.addfile(member, file)
    _forget(tar)


def _forget(tar: tarfile.TarFile) -> None:
    """Let go of the entries that were passed: an archive remembers all of them, which nobody asks about here."""
    cast("Any", tar).members.clear()
