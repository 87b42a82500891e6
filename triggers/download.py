"""Take a body off the wire: hash it, and keep it durably where a file is wanted."""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tidewaiter.config.errors import SyncError, is_full, storage_error

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Digest:
    """How long a body was, in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


async def digest(chunks: AsyncIterable[bytes], write: Callable[[bytes], object] | None = None) -> Digest:
    """Read *chunks* to the end, handing each to *write*; each must be small enough to hash on the event loop."""
    size, sha256 = 0, hashlib.sha256()
    async for chunk in chunks:
        size += len(chunk)
        sha256.update(chunk)
        if write:
            write(chunk)
    return Digest(size, sha256.hexdigest())


async def save(chunks: AsyncIterable[bytes], destination: Path) -> Digest:
    """
    Write *chunks* to *destination*, readable by this user alone; complete and fsynced on return, absent after any
    failure.

    The directory entry itself is not fsynced: the caller renames the file and does that.

    Raises:
        StorageError: the disk is full, or the file cannot be written.
        SyncError: the disk did not confirm it.
    """
    try:
        with ExitStack() as undo:
            descriptor = _open(destination)
            undo.callback(destination.unlink, missing_ok=True)
            taken = await _write(chunks, descriptor, destination)
            undo.pop_all()
    except OSError as error:
        raise storage_error(error, destination) from error
    return taken


def _open(destination: Path) -> int:
    """Open a regular file for writing, and nothing else: a failed download removes it again."""
    descriptor = os.open(destination, _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def sync(descriptor: int, path: Path) -> None:
    """
    Have the disk confirm what was written to *path*, which is open as *descriptor*.

    Raises:
        OSError: the disk is full.
        SyncError: it did not confirm; what is there must not be relied on, nor asked about again.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if is_full(error):
            raise
        raise SyncError(path, str(error.strerror)) from error


async def _write(chunks: AsyncIterable[bytes], descriptor: int, path: Path) -> Digest:
    try:
        taken = await digest(chunks, partial(_write_all, descriptor))
        await asyncio.to_thread(sync, descriptor, path)
    finally:
        os.close(descriptor)
    return taken


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
