"""How a body becomes a file."""

import hashlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidewaiter.config.errors import StorageError
from tidewaiter.triggers.bucket import BucketUnavailableError
from tidewaiter.triggers.download import Digest, digest, save


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def broken() -> AsyncIterator[bytes]:
    yield b"only this"
    raise BucketUnavailableError("cannot read 'x': connection lost")


async def test_digests_without_keeping() -> None:
    """Without a file the body is measured and hashed."""
    assert await digest(chunks(b"a", b"bc")) == Digest(3, hashlib.sha256(b"abc").hexdigest())


async def test_saves_all_chunks(tmp_path: Path) -> None:
    """The file holds all chunks in order and belongs to this user alone."""
    assert await save(chunks(b"a", b"bc"), tmp_path / "data") == Digest(3, hashlib.sha256(b"abc").hexdigest())
    assert (tmp_path / "data").read_bytes() == b"abc"
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o600


async def test_a_failed_body_leaves_no_file(tmp_path: Path) -> None:
    """When the body fails in the middle, its error comes through and the partial file goes."""
    with pytest.raises(BucketUnavailableError):
        await save(broken(), tmp_path / "data")
    assert not (tmp_path / "data").exists()


async def test_a_failed_write_names_the_path(tmp_path: Path) -> None:
    """A disk that takes no more is `StorageError` with the path, and the partial file goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match="data: File too large"):
            await save(chunks(b"x" * 10_000), tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "data").exists()


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A destination that cannot be opened is `StorageError`."""
    with pytest.raises(StorageError, match="No such file"):
        await save(chunks(b"x"), tmp_path / "missing" / "data")


async def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """A link planted at the destination does not redirect the download."""
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError):
        await save(chunks(b"x"), tmp_path / "link")
    assert not (tmp_path / "victim").exists()


async def test_only_a_regular_file_is_written_or_removed(tmp_path: Path) -> None:
    """What is not a regular file is left alone, whatever goes wrong."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(StorageError, match="not a regular file"):
            await save(chunks(b"x"), tmp_path / "pipe")
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").exists()
