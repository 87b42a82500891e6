"""Big files by their lines: in constant memory, in a thread, and in steps between which a task can be interrupted."""

import asyncio
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

from tidewaiter.config.errors import TaskError

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that yields now and then, and gives its result in the end."""

MAX_LINE = 64 * 1024**2
LINES_AT_ONCE = 1000
"""After how many lines such work should yield."""

_BLOCK = 1 << 20


async def in_steps(work: Steps[T]) -> T:
    """Do *work* in a thread and give its result. When cancelled, it ends at the step it is in, before this returns."""
    while True:
        step = asyncio.ensure_future(asyncio.to_thread(_advance, work))
        try:
            ended = await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.gather(step, return_exceptions=True)
            work.close()
            raise
        if ended is not None:
            return ended[0]


def _advance(work: Steps[T]) -> tuple[T] | None:
    try:
        next(work)
    except StopIteration as end:
        return (end.value,)
    return None


def lines(file: Path) -> Iterator[bytes]:
    """Give the lines of *file* without their ends, LF or CR LF. Raises `TaskError` for one longer than `MAX_LINE`."""
    with file.open("rb") as reading:
        while line := reading.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise _too_long(file)
            yield line.removesuffix(b"\n").removesuffix(b"\r")


def reversed_lines(file: Path) -> Iterator[bytes]:
    """Like `lines`, from the last to the first."""
    pieces = _pieces_from_the_end(file)
    # What follows the last LF is a line only if there is anything.
    if last := next(pieces):
        yield last.removesuffix(b"\r")
    for piece in pieces:
        yield piece.removesuffix(b"\r")


def _pieces_from_the_end(file: Path) -> Iterator[bytes]:
    """Give what is before, between and after all LF."""
    with file.open("rb") as reading:
        left, rest = reading.seek(0, os.SEEK_END), b""
        while left:
            size = min(_BLOCK, left)
            left = reading.seek(left - size)
            rest, *whole = (reading.read(size) + rest).split(b"\n")
            if len(rest) > MAX_LINE:
                raise _too_long(file)
            yield from reversed(whole)
        yield rest


def _too_long(file: Path) -> TaskError:
    return TaskError(
        f"file '{file.name}' has a line of more than {MAX_LINE >> 20} MiB", "is it a file of lines at all?"
    )
