"""What is in internal storage, as found on the disk: execution folders, objects with their manifests, and leftovers."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import StorageError, storage_error
from tidewaiter.daemon.custody import MANIFEST
from tidewaiter.daemon.journal.restoration import Lost
from tidewaiter.daemon.records import Detection, DetectionState, TriggerKey
from tidewaiter.daemon.storage import FORGOTTEN, Storage

_EXECUTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Names that custody and task runs write under; the file of an object ``x.tmp`` may have the first for good.
_TEMPORARY = re.compile(rf"data\.tmp|{re.escape(MANIFEST)}\.[0-9A-Z]+\.tmp|\..+\.tmp")
_CHUNK = 1 << 20


class ManifestError(StorageError):
    """A manifest cannot be read, or does not fit the file beside it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """
    The folder of one execution. *forgotten*: retention meant to remove it. *manifests* and *temporary* are files in it.
    """

    path: Path
    execution_id: str
    forgotten: bool
    manifests: tuple[Path, ...]
    temporary: tuple[Path, ...]


def folders(storage: Storage) -> Iterator[Folder]:
    """Give the folders of executions in *storage*, in order of their paths. Raises `StorageError`."""
    for parent, names, _ in os.walk(storage.root, onerror=_unreadable):
        names.sort()
        if Path(parent).name != "executions":
            continue
        found = [name for name in names if _EXECUTION.fullmatch(name)]
        names[:] = [name for name in names if name not in found]
        for name in found:
            yield _folder(Path(parent) / name)


def _folder(path: Path) -> Folder:
    files = [Path(parent) / name for parent, _, names in os.walk(path, onerror=_unreadable) for name in sorted(names)]
    manifests = (file for file in files if file.name == MANIFEST and file.relative_to(path).parts[0] == "trigger")
    return Folder(
        path=path,
        execution_id=path.name,
        forgotten=(path / FORGOTTEN).exists(),
        manifests=tuple(manifests),
        temporary=tuple(file for file in files if _TEMPORARY.fullmatch(file.name)),
    )


def _unreadable(error: OSError) -> None:
    raise storage_error(error, error.filename) from error


def read_manifest(storage: Storage, path: Path) -> Lost:
    """
    Give the detection that the manifest at *path* tells of, with the URI of its bytes.

    Raises:
        ManifestError: it is not one of ours, or lies where it does not belong.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        detection = _detection(data)
        file = storage.object_path(TriggerKey.parse(detection.trigger), detection)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"the manifest {path} cannot be read: {error}") from error
    if file.parent != path.parent:
        raise ManifestError(f"the manifest {path} is about another object: {detection.key!r}")
    placed = replace(detection, uri=storage.uri(file))
    return Lost(placed, data.get("trigger_type", ""), data.get("captures", {}), bool(data.get("marker", False)))


def _detection(data: dict[str, Any]) -> Detection:
    stored = data["stored"]
    known = {name: data[name] for name in Detection.__slots__ if name in data}
    return Detection(
        **{**known, "state": DetectionState.STORED, "sha256": stored["sha256"], "version_id": stored["version_id"]}
    )


def damage(file: Path, sha256: str) -> str | None:
    """Say what is wrong with the stored bytes in *file*, None if they are those that *sha256* was taken of."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as reading:
            while chunk := reading.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return None if digest.hexdigest() == sha256 else "different from what was read from the bucket"
