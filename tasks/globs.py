"""The files in a working directory that globs match (kestra.md §1.8, reliability.md §4.4)."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tidewaiter.config.errors import TaskError
from tidewaiter.config.globs import compile_glob

MAX_FILES = 10_000
MAX_BYTES = 100 * 1024**3


def matcher(pattern: str, root: Path) -> re.Pattern[str]:
    """
    Compile one item of ``outputFiles`` for the absolute paths of files below *root*.

    A plain glob is relative to *root*; with ``glob:`` or ``regex:`` in front it is for the whole absolute path.

    Raises:
        ValueError: the glob or regular expression is malformed.
    """
    if pattern.startswith("regex:"):
        try:
            return re.compile(pattern.removeprefix("regex:"))
        except re.error as error:
            raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
    if pattern.startswith("glob:"):
        return compile_glob(pattern.removeprefix("glob:"))
    relative = compile_glob(pattern.removeprefix("./").removeprefix("/"))
    return re.compile(re.escape(f"{root}/") + f"(?:{relative.pattern})", re.DOTALL)


def regular_files(root: Path) -> Iterator[tuple[str, Path]]:
    """
    Walk *root* and give each regular file with its path relative to *root*.

    Symbolic links are neither given nor followed, nor is a hard link to a file of another user.

    Raises:
        TaskError: a directory cannot be read, or *root* is a link.
    """
    if root.is_symlink():
        raise TaskError(f"directory '{root.name}' was replaced by a link")
    left = [root]
    while left:
        directory = left.pop()
        for entry in _entries(directory):
            path = directory / entry.name
            if entry.is_dir(follow_symlinks=False):
                left.append(path)
            elif entry.is_file(follow_symlinks=False) and _may_be_taken(path.lstat()):
                yield str(path.relative_to(root)), path


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError as error:
        raise TaskError(f"directory '{directory.name}' cannot be read: {error.strerror}") from error


def _may_be_taken(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and (status.st_nlink == 1 or status.st_uid == os.getuid())


def captured(root: Path, patterns: Sequence[str]) -> list[tuple[str, Path]]:
    """
    Find the regular files below *root* that match one of *patterns*, sorted by path.

    Each is opened once without following links, so that what was checked is what is there.

    Raises:
        TaskError: a pattern is malformed, more than `MAX_FILES` match, or they are larger than `MAX_BYTES` together.
    """
    matchers = _matchers(root, patterns)
    found = [(path, file) for path, file in regular_files(root) if _any(matchers, file)] if matchers else []
    if len(found) > MAX_FILES:
        raise TaskError(f"outputFiles match {len(found)} files, at most {MAX_FILES} can be kept", "narrow the globs")
    total = sum(_size(file) for _, file in found)
    if total > MAX_BYTES:
        raise TaskError(f"outputFiles match {total} bytes, at most {MAX_BYTES} can be kept", "narrow the globs")
    return sorted(found)


def unmatched(root: Path, patterns: Sequence[str], files: Iterable[Path]) -> list[str]:
    """Those of *patterns* that match none of *files*."""
    known = [str(file) for file in files]
    return [pattern for pattern in patterns if not any(map(matcher(pattern, root).fullmatch, known))]


def _matchers(root: Path, patterns: Sequence[str]) -> list[re.Pattern[str]]:
    try:
        return [matcher(pattern, root) for pattern in patterns]
    except ValueError as error:
        raise TaskError(str(error), "see the globs of java.nio.file.FileSystem.getPathMatcher") from error


def _any(matchers: Iterable[re.Pattern[str]], file: Path) -> bool:
    return any(expression.fullmatch(str(file)) for expression in matchers)


def _size(file: Path) -> int:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TaskError(f"file '{file.name}' cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not _may_be_taken(status):
        raise TaskError(f"file '{file.name}' changed while it was being captured")
    return status.st_size
