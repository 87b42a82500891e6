"""
Internal storage: the bytes in custody and the files that executions make, on disk.

A URI ``kestra:///<namespace as path>/<flow>/executions/<id>/…`` (kestra.md §1.8) is the path below the storage
folder. A file appears under its name only when it is complete and on the disk: written beside, fsynced, renamed, the
folder fsynced.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import StorageError, TaskError, storage_error
from tidewaiter.daemon.records import Detection, Execution, TriggerKey, new_id
from tidewaiter.triggers.download import sync

SCHEME = "kestra://"
NAMESPACE_SCHEME = "nsfile://"
FORGOTTEN = ".forgotten"
"""In the folder of an execution: its rows are being deleted, and the folder goes after them."""
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._+=@-]+")
_UNSAFE_PATH = re.compile(r"[/\[\]]+")
_SAFE_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")
_URI = re.compile(r"kestra:///[A-Za-z0-9._+=@/-]+")


def execution_folder(namespace: str, flow_id: str, execution_id: str) -> str:
    """Give the folder of an execution below the storage folder."""
    return "/".join([*namespace.split("."), flow_id, "executions", execution_id])


def witness_of(root: Path) -> Path:
    """Give the file in the storage folder *root* that knows how far the journal has come. No namespace has its name."""
    return root / ".generation"


@dataclass(frozen=True, slots=True)
class Storage:
    """The folder *root* and what is in it."""

    root: Path

    def open(self) -> None:
        """Create the folder, private to this user. Raises `StorageError` if that cannot be done."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(error, self.root) from error

    def path(self, uri: str) -> Path:
        """
        Give the file behind *uri*, which need not exist.

        Raises:
            StorageError: not an internal-storage URI, or one that leaves the storage folder.
        """
        if not _URI.fullmatch(uri):
            raise StorageError(
                f"'{uri}' is not an internal-storage URI", "they look like kestra:///namespace/flow/executions/…"
            )
        parts = uri.removeprefix(SCHEME).strip("/").split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise StorageError(f"'{uri}' leaves internal storage")
        return self.root.joinpath(*parts)

    def uri(self, path: Path) -> str:
        """Give the URI of a file below the storage folder."""
        return f"{SCHEME}/{path.relative_to(self.root).as_posix()}"

    def object_path(self, trigger: TriggerKey, detection: Detection) -> Path:
        """
        Give where the content of *detection* is kept. Never derived from its key, but for a harmless suffix
        (reliability.md §4.1).
        """
        suffix = os.path.splitext(detection.key)[1]  # noqa: PTH122 - a key is not a path of this system
        name = "data" + (suffix if _SAFE_SUFFIX.fullmatch(suffix) else "")
        folder = execution_folder(trigger.namespace, trigger.flow_id, detection.execution_id)
        return self.root / folder / "trigger" / trigger.trigger_id / detection.id / name

    def forgetting(self, folder: Path) -> None:
        """
        Mark the *folder* of an execution whose rows are about to be deleted: should a crash come in between, nobody
        must take it for something that the journal has lost. Raises `StorageError`.
        """
        try:
            if folder.is_dir():
                (folder / FORGOTTEN).touch()
                _sync_folders(folder, folder)
        except OSError as error:
            raise storage_error(error, folder) from error

    def keeping(self, folder: Path) -> None:
        """Take the mark of `forgetting` off again: the rows are needed after all. Raises `StorageError`."""
        try:
            (folder / FORGOTTEN).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error

    async def keep(self, temporary: Path, final: Path, manifest: Mapping[str, Any]) -> str:
        """
        Move a complete, fsynced *temporary* file to *final*, with its manifest beside it, and give its URI. Idempotent.

        The manifest is on disk before the file has its name: whoever finds the file finds what it is (reliability.md
        §3.2 step 2).
        """
        await asyncio.to_thread(_keep, temporary, final, manifest, self.root)
        return self.uri(final)


def _keep(temporary: Path, final: Path, manifest: Mapping[str, Any], root: Path) -> None:
    try:
        _write_durably(final.with_name("manifest.json"), json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        temporary.rename(final)
        _sync_folders(final.parent, root)
    except OSError as error:
        raise storage_error(error, final) from error


def _write_durably(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{new_id()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), path)
    temporary.rename(path)


def _sync_folders(folder: Path, root: Path) -> None:
    """Make the names of a new file and of the folders made for it durable, from *folder* up to *root*."""
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sync(descriptor, folder)
        finally:
            os.close(descriptor)
        if folder == root:
            return
        folder = folder.parent


@dataclass(frozen=True, slots=True)
class NamespaceFolders:
    """The folders of namespace files below *root*, one for each namespace; *own* is the namespace of who asks."""

    root: Path
    own: str

    def file(self, path: str, namespace: str | None = None) -> Path:
        """
        Give the namespace file *path*.

        Raises:
            TaskError: there is none.
        """
        name = namespace or self.own
        folder = self.root / name
        file = (folder / path.lstrip("/")).resolve()
        inside = folder.resolve().parent == self.root.resolve() and file.is_relative_to(folder.resolve())
        if not inside or not file.is_file():
            raise TaskError(f"there is no namespace file '{path}' in '{name}'", "see the setting namespace_files")
        return file

    def uri(self, path: str, namespace: str | None = None) -> str:
        """Give the URI of the namespace file *path*, as Kestra writes it; the file need not exist."""
        if ".." in path.split("/"):
            raise TaskError(f"'{path}' leaves the namespace")
        return f"{SCHEME}/{(namespace or self.own).replace('.', '/')}/_files/{path.lstrip('/')}"

    def behind(self, uri: str) -> Path | None:
        """Give the namespace file behind *uri*; None if it is the URI of something else. Raises as `file`."""
        if uri.startswith(NAMESPACE_SCHEME):
            name, _, path = uri.removeprefix(NAMESPACE_SCHEME).partition("/")
            return self.file(path, name or None)
        name, mark, path = uri.removeprefix(f"{SCHEME}/").partition("/_files/")
        return self.file(path, name.replace("/", ".")) if mark and uri.startswith(SCHEME) else None


@dataclass(frozen=True, slots=True)
class ExecutionFiles:
    """
    Internal storage as one task run sees it (`tidewaiter.tasks.context.Files`).

    It writes below its own task run and reads below *readable* folders: its execution's, the original's if it is a
    replay, and that of the execution it was started by, which may hand it files.
    """

    storage: Storage
    folder: str
    readable: Sequence[str]
    namespace_files: NamespaceFolders | None = None

    @classmethod
    def of(
        cls,
        storage: Storage,
        execution: Execution,
        task_path: str,
        task_run_id: str,
        namespace_files: NamespaceFolders | None = None,
    ) -> "ExecutionFiles":
        """Make the view of a task run of *execution*."""
        own = execution_folder(execution.namespace, execution.flow_id, execution.id)
        readable = [own]
        if execution.original_id:
            readable.append(execution_folder(execution.namespace, execution.flow_id, execution.original_id))
        if execution.started_by is not None:
            readable.append(execution_folder(*execution.started_by))
        # In a loop the path has brackets, which no URI has.
        task = _UNSAFE_PATH.sub(".", task_path).strip(".")
        return cls(storage, f"{own}/tasks/{task}/{task_run_id}", tuple(readable), namespace_files)

    def owns(self, text: str) -> bool:
        """See `Files.owns`."""
        return text.startswith((SCHEME, NAMESPACE_SCHEME))

    def path(self, uri: str) -> Path:
        """
        Give the stored file behind *uri*, or the namespace file.

        Raises:
            TaskError: it does not exist, or another execution made it.
        """
        if self.namespace_files is not None and (file := self.namespace_files.behind(uri)):
            return file
        path = self._checked(uri)
        if not path.is_file():
            raise TaskError(f"there is no file '{uri}' in internal storage")
        return path

    def _checked(self, uri: str) -> Path:
        """Give where *uri* is kept or was; raises `TaskError` unless it is one of the executions that may be read."""
        try:
            path = self.storage.path(uri)
        except StorageError as error:
            raise TaskError(error.message, error.hint) from error
        relative = path.relative_to(self.storage.root).as_posix()
        if not any(relative.startswith(f"{folder}/") for folder in self.readable):
            raise TaskError(f"'{uri}' belongs to another execution", "a task reads files of its own execution only")
        return path

    async def fetch(self, uri: str, destination: Path) -> None:
        """See `Files.fetch`."""
        source = self.path(uri)
        try:
            await asyncio.to_thread(shutil.copyfile, source, destination)
        except OSError as error:
            raise storage_error(error, destination) from error

    async def delete(self, uri: str) -> bool:
        """See `Files.delete`."""
        path = self._checked(uri)
        if not path.is_relative_to(self.storage.root / self.readable[0] / "tasks"):
            raise TaskError(
                f"'{uri}' cannot be deleted: no task of this execution made it",
                "objects in custody and the files of other executions go by themselves (retention)",
            )
        try:
            await asyncio.to_thread(path.unlink)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_error(error, path) from error
        return True

    async def store(self, source: Path, name: str) -> str:
        """See `Files.store`."""
        safe = _SAFE_NAME.sub("_", name.rpartition("/")[2]).lstrip(".")[-100:] or "file"
        final = self.storage.root / self.folder / f"{new_id()}-{safe}"
        await asyncio.to_thread(_store, source, final, self.storage.root)
        return self.storage.uri(final)


def _store(source: Path, final: Path, root: Path) -> None:
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as reading, temporary.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            sync(writing.fileno(), final)
        temporary.rename(final)
        _sync_folders(final.parent, root)
    except OSError as error:
        raise storage_error(error, final) from error
