"""Files into and out of a working directory: input, output and namespace files, LocalFiles (kestra.md §1.7-1.9)."""

import asyncio
import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Namespace, Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.globs import compile_glob
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.globs import captured, matcher, regular_files, unmatched

_SHOWN = 10


def _well_formed(pattern: str) -> str:
    try:
        matcher(pattern, Path("/"))
    except ValueError as error:
        raise PydanticCustomError("glob", "{reason}", {"reason": str(error)}) from error
    return pattern


Glob = Annotated[Text, AfterValidator(_well_formed)]
"""A pattern for paths; see `tidewaiter.tasks.globs.matcher`."""

InputFiles = Dynamic[dict[str, Any] | None]
"""Path in the working directory → internal-storage URI or literal content; or a JSON string of such a map."""

OutputFiles = Dynamic[tuple[Glob, ...]]


class NamespaceFiles(Spec):
    """Which files of the flow's namespace are put into the working directory (kestra.md §1.9)."""

    enabled: Dynamic[bool] = True
    """Put files there at all."""
    include: Dynamic[tuple[Glob, ...]] = ()
    """Globs for the files that are meant; all without any."""
    exclude: Dynamic[tuple[Glob, ...]] = ()
    """Globs for files that are not."""
    namespaces: Dynamic[tuple[Namespace, ...]] = ()
    """The namespaces whose files are meant, later ones over earlier ones; the flow's own without any."""
    if_exists: Dynamic[Literal["OVERWRITE", "FAIL", "WARN", "IGNORE"]] = "OVERWRITE"
    """What to do when there is such a file already."""
    folder_per_namespace: Dynamic[bool] = False
    """Put the files of each namespace into a folder with its name."""


class LocalFiles(TaskSpec):
    """Put files into the working directory, take files out of it, or both (kestra.md §1.7)."""

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.LocalFiles",
        "io.kestra.core.tasks.storages.LocalFiles",
    )

    inputs: InputFiles = None
    """Path → URI of a file, or the content itself."""
    outputs: OutputFiles = ()
    """Globs for the files to keep; they are found in ``outputs.id.uris`` by their paths."""


async def run_local_files(spec: LocalFiles, context: TaskContext) -> Result:
    """Do a `LocalFiles` task: inputs first, then outputs, which are told as ``uris`` and as ``outputFiles``."""
    await place(spec.inputs, context)
    uris = await capture(spec.outputs, context)
    return Result(outputs={"uris": uris, "outputFiles": uris})


async def place(inputs: Mapping[str, Any] | None, context: TaskContext) -> None:
    """
    Write *inputs* into the working directory; existing files are replaced, parents made, entries of None left out.

    Nothing outside the working directory is ever written, whatever the names are and whatever links lie in it.

    Raises:
        TaskError: a name is empty, absolute or leads outside, or an internal-storage URI cannot be fetched.
    """
    for name, value in (inputs or {}).items():
        if isinstance(value, str) and context.files.owns(value):
            with replacing(context.workdir, name) as destination:
                await context.files.fetch(value, destination)
        elif value is not None:
            with replacing(context.workdir, name) as destination:
                await asyncio.to_thread(destination.write_bytes, _content(value))


def _content(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


async def place_namespace_files(spec: NamespaceFiles | None, context: TaskContext) -> None:
    """
    Copy the wanted files of the flow's namespace, or of those that are named, into the working directory. Of a file
    that several namespaces have, the last one counts.

    A pattern counts from the namespace's folder when it starts with ``/``, at any depth otherwise.

    Raises:
        TaskError: a pattern is malformed, a file cannot be copied, or is there already and must not be.
    """
    if spec is None or not spec.enabled:
        return
    own = context.namespace_files
    folders = [own.with_name(name) for name in spec.namespaces] or [own] if own else []
    included, excluded = _selection(spec.include or ("**",)), _selection(spec.exclude)
    present = {path for path, _ in await asyncio.to_thread(lambda: list(regular_files(context.workdir)))}
    for folder in folders:
        if folder.is_dir():
            below = f"{folder.name}/" if spec.folder_per_namespace else ""
            copy = _Copy(context, below, present, spec.if_exists)
            await asyncio.to_thread(copy.files, folder, lambda path: included(path) and not excluded(path))
    if not any(folder.is_dir() for folder in folders):
        context.log("WARN", "namespaceFiles is enabled but the namespace has no files")


def _selection(patterns: Sequence[str]) -> Callable[[str], bool]:
    try:
        matchers = [compile_glob(item if item.startswith(("/", "**")) else f"**/{item}") for item in patterns]
    except ValueError as error:
        raise TaskError(f"namespaceFiles: {error}") from error
    return lambda path: any(expression.fullmatch(f"/{path}") for expression in matchers)


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies namespace files below the folder *below*; *present* are the files that were there before any of them."""

    context: TaskContext
    below: str
    present: Collection[str]
    if_exists: str

    def files(self, folder: Path, wanted: Callable[[str], bool]) -> None:
        for path, file in regular_files(folder):
            if wanted(path) and self._may(f"{self.below}{path}"):
                with replacing(self.context.workdir, f"{self.below}{path}") as destination:
                    shutil.copy(file, destination, follow_symlinks=False)

    def _may(self, path: str) -> bool:
        if self.if_exists == "OVERWRITE" or path not in self.present:
            return True
        if self.if_exists == "FAIL":
            raise TaskError(f"namespaceFiles: '{path}' is there already", "choose another ifExists, or exclude it")
        if self.if_exists == "WARN":
            self.context.log("WARN", f"namespaceFiles: '{path}' is there already and stays as it is")
        return False


async def capture(patterns: Sequence[str], context: TaskContext) -> dict[str, str]:
    """
    Keep the files of the working directory that match *patterns*; give path → internal-storage URI. The files stay.

    A pattern without a match is no error, but said in the log, with what is there instead.

    Raises:
        TaskError: a pattern is malformed, or there is too much to keep (`tidewaiter.tasks.globs.captured`).
    """
    if not patterns:
        return {}
    found = await asyncio.to_thread(captured, context.workdir, patterns)
    for pattern in unmatched(context.workdir, patterns, (file for _, file in found)):
        context.log("WARN", f"outputFiles: nothing matches '{pattern}'; {_there_is(context.workdir)}")
    return await _stored(found, context)


async def capture_all(directory: Path, context: TaskContext) -> dict[str, str]:
    """
    Keep every file below *directory*; give path relative to it → internal-storage URI.

    Raises:
        TaskError: there is too much to keep.
    """
    return await _stored(await asyncio.to_thread(captured, directory, ("**",)), context)


async def _stored(found: Sequence[tuple[str, Path]], context: TaskContext) -> dict[str, str]:
    return {_printable(path): await context.files.store(file, _printable(path)) for path, file in found}


def _there_is(workdir: Path) -> str:
    """Name what is there, without hidden folders such as git's."""
    found = (path for path, _ in regular_files(workdir))
    there = sorted(path for path in found if not any(part.startswith(".") for part in path.split("/")[:-1]))
    if not there:
        return "the working directory has no such files"
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    return "there is " + ", ".join(repr(_printable(path)) for path in there[:_SHOWN]) + more


def _printable(path: str) -> str:
    """Make a file name that is not UTF-8 fit for JSON."""
    return os.fsencode(path).decode("utf-8", "replace")


def confined_directory(workdir: Path, name: str) -> Path:
    """
    Make the directory *name* below *workdir* unless it is there, and give its path; ``.`` is *workdir* itself.

    Raises:
        TaskError: the name is absolute or leads outside, or a link or a file is in its way.
    """
    parts = [] if PurePosixPath(name) == PurePosixPath() else _parts(name.rstrip("/"))
    try:
        with _directory(workdir, parts):
            return workdir.joinpath(*parts)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TaskError(f"directory {name!r} cannot be made in the working directory: {reason}") from error


@contextlib.contextmanager
def replacing(workdir: Path, name: str) -> Iterator[Path]:
    """
    Give a new path to write to, which takes the place of *name* below *workdir* afterwards.

    The path leads through an open directory that was reached without following links, so it stays inside
    (reliability.md §4.1); what is at *name*, a link included, is replaced and never written through.
    """
    *parents, last = _parts(name)
    try:
        with _directory(workdir, parents) as descriptor, _temporary(descriptor) as temporary:
            yield Path(f"/proc/self/fd/{descriptor}") / temporary
            os.rename(temporary, last, src_dir_fd=descriptor, dst_dir_fd=descriptor)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TaskError(f"file {name!r} cannot be written in the working directory: {reason}") from error


def _parts(name: str) -> list[str]:
    """Split *name* into the names on its way; ``.`` and doubled slashes mean nothing, as on any POSIX system."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or name.startswith("/") or name.endswith("/") or ".." in parts or "\0" in name:
        raise TaskError(
            f"{name!r} is not a file name inside the working directory",
            "use a relative path without '..', for example data.csv or data/in.csv",
        )
    return parts


@contextlib.contextmanager
def _temporary(directory: int) -> Iterator[str]:
    name = f".{uuid.uuid4().hex}.part"
    try:
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


@contextlib.contextmanager
def _directory(root: Path, parents: Sequence[str]) -> Iterator[int]:
    """Open the directory *parents* below *root*, making what is missing and following no link."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parent, dir_fd=descriptor)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(parent, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)
