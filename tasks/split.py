"""A file of lines into several: the task Split, and the batches of a loop over a file."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.errors import ExpressionError, TaskError, storage_error
from tidewaiter.config.expression.java_regex import compiled
from tidewaiter.config.fields import Text, parse_size
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.lines import LINES_AT_ONCE, Steps, in_steps, lines
from tidewaiter.tasks.storage import Source

MAX_PARTS = 10_000
_BUFFER = 16 * 1024


def _bytes(value: Any) -> Any:
    """Read a size in Kestra's units, of which each is 1024 of the one before: ``10MB`` is 10 MiB."""
    if not isinstance(value, str):
        return value
    try:
        return parse_size(re.sub(r"(?<=[KMGT])B$", "iB", value.strip().upper()))
    except ValueError as error:
        raise PydanticCustomError("size", "{reason}", {"reason": str(error)}) from error


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class Cut(Spec):
    """
    How a file of lines is divided: parts of at least ``bytes`` (as ``10MB``) or of *rows* lines, or as many
    *partitions* that take lines in turn, or one for each text that the first group of *regex_pattern* finds, other
    lines left out. Of several the first in this order counts: regexPattern, bytes, partitions, rows. *separator* ends
    each line.
    """

    size: Annotated[Dynamic[Bytes | None], Field(alias="bytes")] = None
    """How many bytes a part has at least, such as ``10MB``."""
    partitions: Dynamic[Count | None] = None
    """How many parts there are."""
    rows: Dynamic[Count | None] = None
    """How many lines a part has."""
    regex_pattern: Dynamic[Text | None] = None
    """A regular expression whose first group finds the text by which lines are put together."""
    separator: Dynamic[Text] = "\n"
    """What ends each line."""


class Split(TaskSpec, Cut):
    """Divide the file *from* into several, by its lines (Kestra's documentation of ``core.storage.Split``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.storage.Split", "io.kestra.core.tasks.storages.Split")

    from_: Source
    """The URI of the file."""

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if all(way is None for way in (self.size, self.partitions, self.rows, self.regex_pattern)):
            raise PydanticCustomError("split", "say how to split: add bytes, partitions, rows or regexPattern")
        return self


async def run_split(spec: Split, context: TaskContext) -> Result:
    """Do a `Split` task: its output ``uris`` lists the parts in order."""
    return Result(outputs={"uris": await split_stored(spec.from_, spec, context)})


async def split_stored(uri: str, cut: Cut, context: TaskContext) -> list[str]:
    """
    Divide the stored file *uri* and give the URIs of its parts in order; a file without lines has none.

    Raises:
        TaskError: there is no such file, the pattern is none, or there would be more than `MAX_PARTS`.
        StorageError: the disk is full.
    """
    source, folder = context.files.path(uri), context.scratch / "parts"
    try:
        folder.mkdir()
        parts = await in_steps(split(source, cut, folder, PurePosixPath(uri).suffix or ".tmp"))
    except OSError as error:
        raise storage_error(error, folder) from error
    return [await context.files.store(part, part.name) for part in parts]


def split(source: Path, cut: Cut, folder: Path, suffix: str = "") -> Steps[list[Path]]:
    """
    Write the parts of *source* into the empty *folder* and give them in order, none of them empty. Lines end with LF or
    CR LF in the source, and with the separator in the parts.

    Raises:
        TaskError: the pattern is none, a line is too long, or there would be more than `MAX_PARTS`.
    """
    parts = _Parts(folder, suffix)
    choose = _chooser(cut, parts)
    separator = cut.separator.encode()
    for number, line in enumerate(lines(source), start=1):
        key = choose(line)
        if key is not None:
            parts.add(key, line + separator)
        if number % LINES_AT_ONCE == 0:
            yield
    return parts.finish()


def _chooser(cut: Cut, parts: "_Parts") -> Callable[[bytes], Any]:
    """Give what chooses the part of a line, by a key; None leaves it out."""
    if cut.regex_pattern is not None:
        return _by_group(cut.regex_pattern)
    if cut.size is not None:
        size = cut.size
        return _filling(lambda: parts.bytes_in_last >= size)
    if cut.partitions is not None:
        return _in_turn(cut.partitions)
    rows = cut.rows or 1
    return _filling(lambda: parts.lines_in_last >= rows)


def _by_group(pattern: str) -> Callable[[bytes], Any]:
    try:
        expression = compiled(pattern)
    except ExpressionError as error:
        raise TaskError(f"regexPattern: {error.message}") from error
    if not expression.groups:
        raise TaskError(f"regexPattern '{pattern}' has no group", "put what names the part in parentheses")

    def choose(line: bytes) -> Any:
        found = expression.search(line.decode("utf-8", "replace"))
        return found[1] if found else None

    return choose


def _filling(full: Callable[[], bool]) -> Callable[[bytes], Any]:
    number = 0

    def choose(_line: bytes) -> int:
        nonlocal number
        number += full()
        return number

    return choose


def _in_turn(count: int) -> Callable[[bytes], Any]:
    numbers = _cycle(count)
    return lambda _line: next(numbers)


def _cycle(count: int) -> Iterator[int]:
    while True:
        yield from range(count)


@dataclass(slots=True)
class _Parts:
    """
    The parts being written. Each is open only while its buffer is emptied, so that there may be many at once.

    *lines_in_last* and *bytes_in_last* are about the part that came last into being.
    """

    folder: Path
    suffix: str
    lines_in_last: int = 0
    bytes_in_last: int = 0
    _files: dict[Any, Path] = field(default_factory=dict)
    _buffers: dict[Any, bytearray] = field(default_factory=dict)

    def add(self, key: Any, line: bytes) -> None:
        if key not in self._files:
            self._begin(key)
        buffer = self._buffers[key]
        buffer += line
        self.lines_in_last += 1
        self.bytes_in_last += len(line)
        if len(buffer) >= _BUFFER:
            self._empty(key)

    def finish(self) -> list[Path]:
        for key in self._files:
            self._empty(key)
        return list(self._files.values())

    def _begin(self, key: Any) -> None:
        if len(self._files) == MAX_PARTS:
            raise TaskError(f"the file falls into more than {MAX_PARTS} parts", "make the parts larger")
        self._files[key] = self.folder / f"part-{len(self._files) + 1:05}{self.suffix}"
        self._buffers[key] = bytearray()
        self.lines_in_last = self.bytes_in_last = 0

    def _empty(self, key: Any) -> None:
        with self._files[key].open("ab") as file:
            file.write(self._buffers[key])
        self._buffers[key].clear()
