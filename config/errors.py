"""The errors a user can meet, each with what failed, why, and what to do next."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass


class TidewaiterError(Exception):
    """
    Root of every error Tidewaiter raises on purpose.

    *message* says what failed, on which object and why; *hint* says what to do next (a command, a property, a
    permission).
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ExpressionError(TidewaiterError):
    """An expression cannot be parsed or rendered; the message names the expression and the variable or position."""


class PropertyError(TidewaiterError):
    """A property's rendered value does not fit its type; the message names the property and the value."""


class SecretMissingError(ExpressionError):
    """A flow asks for a secret that no source provides."""


class StorageError(TidewaiterError):
    """The local disk cannot be written or read; the message names the path, the cause is the `OSError`."""


class StorageFullError(StorageError):
    """No space is left on the local disk; nothing was lost, and the same step may succeed later."""


class SyncError(Exception):
    """
    The disk did not confirm what was written: it may be lost though it can still be read, and asked again the disk
    would confirm without reason (reliability.md §3.5). Not a `TidewaiterError`, because nothing may go on after it: the
    daemon ends, and its next start goes on from what is confirmed.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"the disk did not confirm what was written to {path}: {reason}")
        self.message = str(self)
        self.hint = "check the disk; the next start goes on from what it had confirmed"


def storage_error(error: OSError, path: object) -> StorageError:
    """Translate *error* met at *path*. What says the disk or the file has reached its limit is `StorageFullError`."""
    if is_full(error):
        hint = "free space on that disk; work goes on by itself"
        return StorageFullError(f"no space left to write {path}: {error.strerror}", hint)
    return StorageError(f"cannot use {path}: {error.strerror}", "the state directory must be writable for this user")


def is_full(error: OSError) -> bool:
    """Tell whether *error* says that the disk or the file has reached its limit."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file. *line* and *column* count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(TidewaiterError):
    """A settings or flow file is wrong. *problems* holds every mistake found in it, in order of position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))


class TaskError(TidewaiterError):
    """A task cannot be done; the task run fails with this message."""
