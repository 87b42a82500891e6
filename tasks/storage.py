"""The tasks on single files of internal storage: Write, Concat, Size, Delete and Reverse."""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, ClassVar

from pydantic import Field

from tidewaiter.config.errors import TaskError, storage_error
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.lines import LINES_AT_ONCE, Steps, in_steps, reversed_lines

_CHUNK = 1 << 20

Source = Annotated[Dynamic[Text], Field(alias="from")]
"""The property ``from``: the URI of a file in internal storage."""


class Write(TaskSpec):
    """Keep the text *content* as a file (Kestra's documentation of ``core.storage.Write``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.storage.Write",)

    content: Dynamic[Text]
    """The text."""
    extension: Dynamic[Text] = ""
    """The extension of the file's name, such as ``.csv``."""


class Concat(TaskSpec):
    """
    Put *files*, a list of URIs or such a list as JSON text, one after another into one file. *separator* follows each
    of them, the last one, too (Kestra's documentation of ``core.storage.Concat``).
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.Concat",
        "io.kestra.core.tasks.storages.Concat",
    )

    files: Dynamic[tuple[Text, ...]]
    """The URIs of the files."""
    separator: Dynamic[Text] = ""
    """What is written after each of them."""
    extension: Dynamic[Text] = ".tmp"
    """The extension of the new file's name."""


class Size(TaskSpec):
    """Give the length of a file in bytes (Kestra's documentation of ``core.storage.Size``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.storage.Size", "io.kestra.core.tasks.storages.Size")

    uri: Dynamic[Text]
    """The URI of the file."""


class Delete(TaskSpec):
    """
    Remove a file that a task of this execution made (Kestra's documentation of ``core.storage.Delete``).

    Objects in custody stay: they may be needed again when the execution has failed.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.Delete",
        "io.kestra.core.tasks.storages.Delete",
    )

    uri: Dynamic[Text]
    """The URI of the file."""
    error_on_missing: Dynamic[bool] = False
    """Fail if there is no such file."""


class Reverse(TaskSpec):
    """
    Write the lines of the file *from* in the opposite order, each followed by *separator* (Kestra's documentation of
    ``core.storage.Reverse``). *charset* must be one in which a line ends with a byte of its own.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.Reverse",
        "io.kestra.core.tasks.storages.Reverse",
    )

    from_: Source
    """The URI of the file."""
    separator: Dynamic[Text] = "\n"
    """What ends each line."""
    charset: Dynamic[Text] = "UTF-8"
    """The encoding of the file."""


async def run_write(spec: Write, context: TaskContext) -> Result:
    """Do a `Write` task: its output ``uri`` is the file."""
    data = spec.content.encode("utf-8", "surrogatepass")
    return Result(outputs={"uri": await made(context, f"content{spec.extension}", lambda file: _written(file, data))})


def _written(file: BinaryIO, data: bytes) -> Steps[None]:
    file.write(data)
    yield


async def run_concat(spec: Concat, context: TaskContext) -> Result:
    """Do a `Concat` task: its output ``uri`` is the file."""
    sources = [context.files.path(uri) for uri in spec.files]
    separator = spec.separator.encode()
    uri = await made(context, f"concat{spec.extension}", lambda file: _concatenated(file, sources, separator))
    return Result(outputs={"uri": uri})


def _concatenated(file: BinaryIO, sources: Iterable[Path], separator: bytes) -> Steps[None]:
    for source in sources:
        with source.open("rb") as reading:
            while chunk := reading.read(_CHUNK):
                file.write(chunk)
                yield
        file.write(separator)


async def run_size(spec: Size, context: TaskContext) -> Result:
    """Do a `Size` task: its output is ``size``."""
    return Result(outputs={"size": context.files.path(spec.uri).stat().st_size})


async def run_delete(spec: Delete, context: TaskContext) -> Result:
    """
    Do a `Delete` task: its output ``deleted`` tells whether the file was there.

    Raises:
        TaskError: it may not be deleted, or it is missing and *error_on_missing* is set.
    """
    deleted = await context.files.delete(spec.uri)
    if not deleted and spec.error_on_missing:
        raise TaskError(f"there is no file '{spec.uri}' to delete", "errorOnMissing: false accepts that")
    return Result(outputs={"uri": spec.uri, "deleted": deleted})


async def run_reverse(spec: Reverse, context: TaskContext) -> Result:
    """Do a `Reverse` task: its output ``uri`` is the file, with the extension of the old one."""
    source, separator = context.files.path(spec.from_), _separator(spec)
    name = f"reversed{PurePosixPath(spec.from_).suffix}"
    return Result(outputs={"uri": await made(context, name, lambda file: _reversed(file, source, separator))})


def _separator(spec: Reverse) -> bytes:
    try:
        if "\n".encode(spec.charset) == b"\n":
            return spec.separator.encode(spec.charset)
    except (LookupError, UnicodeError):
        pass
    raise TaskError(f"charset '{spec.charset}' cannot be reversed by lines", "use UTF-8, or a charset of single bytes")


def _reversed(file: BinaryIO, source: Path, separator: bytes) -> Steps[None]:
    for number, line in enumerate(reversed_lines(source), start=1):
        file.write(line + separator)
        if number % LINES_AT_ONCE == 0:
            yield


async def made(context: TaskContext, name: str, fill: Callable[[BinaryIO], Steps[None]]) -> str:
    """
    Keep what *fill* writes, step by step, as a file called *name*, and give its URI.

    Raises:
        StorageError: the disk is full, or cannot be used.
    """
    path = context.scratch / "made"
    try:
        with path.open("wb") as file:
            await in_steps(fill(file))
    except OSError as error:
        raise storage_error(error, path) from error
    return await context.files.store(path, name)
