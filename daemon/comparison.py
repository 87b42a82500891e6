"""What journal and internal storage say of each other; reads both, changes neither (reliability.md §3.4, C15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tidewaiter.daemon.inventory import Folder, ManifestError, damage, folders, read_manifest
from tidewaiter.daemon.journal.restoration import KnownExecution, Lost
from tidewaiter.daemon.records import Detection, DetectionState
from tidewaiter.daemon.storage import Storage


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: its *kind*, what it is about, and what repairing does about it (None: nothing)."""

    kind: str
    subject: str
    message: str
    repair: str | None = None


@dataclass(slots=True)
class Examination:
    """
    What was found, and what repairing changes: *lost* detections to record, executions that are *doubtful*, *files* and
    folders to remove, the *generation* to go on from.
    """

    findings: list[Finding] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    generation: int | None = None

    def add(self, kind: str, subject: str, message: str, repair: str | None = None) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, subject, message, repair))


class Comparison:
    """
    Compares *storage* with the journal's *detections* and *executions*, all of them.

    *doubting*: the journal is an older copy of itself, so what it says of live executions may be over.
    """

    def __init__(
        self,
        storage: Storage,
        detections: Sequence[Detection],
        executions: Mapping[str, KnownExecution],
        *,
        doubting: bool,
    ) -> None:
        self._storage = storage
        self._rows = {detection.id: detection for detection in detections}
        self._executions = executions
        self._doubting = doubting
        self._expected = {*executions, *(detection.execution_id for detection in detections)}
        self._files = {storage.path(detection.uri) for detection in detections if detection.uri}
        self._found = Examination()

    def run(self) -> Examination:
        """
        Give every disagreement.

        Raises:
            StorageError: storage cannot be read.
        """
        for folder in folders(self._storage):
            self._look_into(folder)
        self._check_bytes()
        self._check_executions()
        return self._found

    def _look_into(self, folder: Folder) -> None:
        manifests = [] if folder.forgotten else [self._read(path) for path in folder.manifests]
        lost = [item for item in manifests if item and self._is_lost(item.detection)]
        restored = [item for item in lost if self._add_lost(item)]
        if restored or folder.execution_id in self._expected:
            self._leftovers(folder, {self._storage.path(item.detection.uri or "") for item in restored})
        elif None not in manifests and not lost:
            self._unknown(folder)

    def _read(self, path: Path) -> Lost | None:
        try:
            return read_manifest(self._storage, path)
        except ManifestError as error:
            self._found.add("manifest", str(path), error.message)
            return None

    def _is_lost(self, detection: Detection) -> bool:
        row = self._rows.get(detection.id)
        if row is None or not self._doubting:
            return row is None
        # Since an older copy was made it was read, or the rest of its batch was settled.
        return row.state is DetectionState.CLAIMED or row.execution_id not in self._executions

    def _add_lost(self, lost: Lost) -> bool:
        """Note a lost detection; gives whether it can be restored."""
        detection = lost.detection
        if wrong := damage(self._storage.path(detection.uri or ""), detection.sha256 or ""):
            self._found.add("bytes", _name(detection), f"the journal does not know it, and its bytes are {wrong}")
            return False
        self._found.lost.append(lost)
        self._found.add(
            "lost",
            _name(detection),
            "its bytes are here, the journal does not know that",
            f"record it and complete its action; execution {detection.execution_id} may have run: show it as FAILED",
        )
        return True

    def _leftovers(self, folder: Folder, restored: set[Path]) -> None:
        for path in folder.temporary:
            if path not in self._files and path not in restored:
                self._remove("temporary", path, "left by an interrupted write")

    def _unknown(self, folder: Folder) -> None:
        if self._doubting and not folder.forgotten:
            self._found.add("unknown", str(folder.path), "the journal does not know it; a later copy of it may have")
        else:
            self._remove("unknown", folder.path, "the journal does not know it any more")

    def _remove(self, kind: str, path: Path, message: str) -> None:
        self._found.files.append(path)
        self._found.add(kind, str(path), message, "remove it")

    def _check_bytes(self) -> None:
        for detection in self._rows.values():
            file = self._storage.path(detection.uri) if detection.uri else None
            if file and (wrong := damage(file, detection.sha256 or "")):
                message = f"its bytes are {wrong}: {file}; put the file back, or let the object arrive again"
                self._found.add("bytes", _name(detection), message)

    def _check_executions(self) -> None:
        restored = {item.detection.execution_id for item in self._found.lost}
        for identifier, execution in self._executions.items():
            if execution.state.ended or identifier in restored:
                continue
            if self._doubting:
                self._doubt(identifier, "it may have run after this copy of the journal was made")
            elif not (execution.by_hand or execution.has_objects):
                self._doubt(identifier, "the journal has no object of it")

    def _doubt(self, identifier: str, message: str) -> None:
        self._found.doubtful.append(identifier)
        self._found.add("execution", identifier, message, "show it as FAILED; it can be replayed")


def _name(detection: Detection) -> str:
    return f"{detection.trigger} {detection.key}"
