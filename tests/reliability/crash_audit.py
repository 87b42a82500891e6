"""What must hold of every object after any kill, once the daemon has run to its end again; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

PROBE = ".tidewaiter-probe-"


class Harm(StrEnum):
    """What a violation is, in the words of the table."""

    LOST = "lost"
    DOUBLED = "doubled"
    REPEATED = "repeated"
    LEFT = "left over"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    harm: Harm
    what: str

    def __str__(self) -> str:
        return f"{self.harm}: {self.what}"


Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Journal:
    """The rows of a journal as they lie on the disk; *integrity* is what SQLite says of the file."""

    detections: Sequence[Row] = ()
    executions: Sequence[Row] = ()
    task_runs: Sequence[Row] = ()
    integrity: str = "ok"


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of the ledger: what a task did outside, to one object."""

    task: str
    execution: str
    attempt: int
    key: str
    sha256: str

    @property
    def run(self) -> tuple[str, str]:
        """The task of an execution that did it."""
        return self.execution, self.task


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    Everything there is to see of one run after its end.

    *uploaded*, *bucket* (below the trigger's prefix) and *archive* map keys to SHA-256; *untagged* are those below the
    prefix that lack the tags of the action; *files* are the paths below
    internal storage, *work* what is left of working directories; *before* is the journal right after the last kill.
    """

    action: str
    uploaded: Mapping[str, str]
    bucket: Mapping[str, str]
    archive: Mapping[str, str]
    before: Journal
    journal: Journal
    effects: Sequence[Effect]
    files: Sequence[str]
    work: Sequence[str]
    running: int
    code: int
    kills: int
    untagged: Sequence[str] = ()


def audit(seen: Evidence) -> list[Violation]:
    """Give everything that is wrong."""
    checks = (_processed, _once, _acted)
    return [*(violation for check in checks for violation in check(seen)), *audit_traces(seen)]


def audit_traces(seen: Evidence) -> list[Violation]:
    """Give what is wrong whatever others did to the objects: tasks repeated, things left over."""
    return [violation for check in (_not_repeated, _in_storage, _at_rest) for violation in check(seen)]


def _processed(seen: Evidence) -> Iterator[Violation]:
    """Each object is in an execution that succeeded, and its tasks saw its bytes."""
    succeeded = {row["id"]: row["batch_id"] for row in seen.journal.executions if row["state"] == "SUCCESS"}
    batches = set(succeeded.values())
    for key, digest in seen.uploaded.items():
        rows = [row for row in seen.journal.detections if row["object_key"] == key and row["batch_id"] in batches]
        if not rows:
            states = [row["state"] for row in seen.journal.detections if row["object_key"] == key]
            yield Violation(Harm.LOST, f"{key} is in no execution that succeeded (its detections: {states})")
        for task in ("first", "last"):
            told = {e.sha256 for e in seen.effects if e.key == key and e.task == task and e.execution in succeeded}
            if rows and told != {digest}:
                yield Violation(Harm.LOST, f"task '{task}' saw {told or 'nothing'} for {key}, not {digest}")


def _once(seen: Evidence) -> Iterator[Violation]:
    """No object is in two executions, and no execution is without objects."""
    executions = {row["batch_id"]: row for row in seen.journal.executions if row["original_id"] is None}
    taken = Counter(row["object_key"] for row in seen.journal.detections if row["batch_id"] in executions)
    yield from (Violation(Harm.DOUBLED, f"{key} is in {n} executions") for key, n in taken.items() if n > 1)
    told: dict[str, set[str]] = {}
    for effect in seen.effects:
        told.setdefault(effect.key, set()).add(effect.execution)
    for key, which in told.items():
        if len(which) > 1:
            yield Violation(Harm.DOUBLED, f"tasks of {len(which)} executions were given {key}")
    filled = {row["batch_id"] for row in seen.journal.detections}
    for batch, row in executions.items():
        if batch not in filled:
            yield Violation(Harm.DOUBLED, f"execution {row['id']} has no objects of its own")
    if len(seen.journal.executions) > len(executions):
        yield Violation(Harm.DOUBLED, "there are replays that nobody asked for")


def _acted(seen: Evidence) -> Iterator[Violation]:
    """The bucket and the archive are what the action says; nothing in the archive was overwritten."""
    stays = seen.action in {"NONE", "TAG"}
    if stays and dict(seen.bucket) != dict(seen.uploaded):
        yield Violation(Harm.LOST, f"{seen.action} changed the bucket: {sorted(seen.bucket)}")
    if seen.untagged:
        yield Violation(Harm.LOST, f"without the tags: {sorted(seen.untagged)}")
    if not stays and seen.bucket:
        yield Violation(Harm.LEFT, f"still in the bucket: {sorted(seen.bucket)}")
    archived = seen.action in {"MOVE", "onSuccess"}
    expected = Counter(seen.uploaded.values()) if archived else Counter[str]()
    archived = Counter(seen.archive.values())
    if missing := expected - archived:
        yield Violation(Harm.LOST, f"{missing.total()} contents are not in the archive: {sorted(seen.archive)}")
    if more := archived - expected:
        yield Violation(Harm.DOUBLED, f"{more.total()} contents too many in the archive: {sorted(seen.archive)}")


def _not_repeated(seen: Evidence) -> Iterator[Violation]:
    """
    A task with a recorded result never runs again; of the others no more than one for each kill, since executions of
    one trigger follow one another.
    """
    attempts = _attempts(seen)
    ended = (row for row in seen.before.task_runs if row["state"] == "SUCCESS")
    recorded = {(row["execution_id"], row["task_path"]): row["attempt"] for row in ended}
    for run, attempt in recorded.items():
        if later := {number for number in attempts.get(run, ()) if number > attempt}:
            yield Violation(Harm.REPEATED, f"task '{run[1]}' had a result and ran again, attempts {later}")
    if (again := repeated(seen)) > seen.kills:
        yield Violation(Harm.REPEATED, f"{again} tasks ran again after {seen.kills} kills")
    lines = Counter((e.run, e.attempt, e.key) for e in seen.effects)
    if twice := [line for line, number in lines.items() if number > 1]:
        yield Violation(Harm.REPEATED, f"attempts that ran twice: {twice}")


def repeated(seen: Evidence) -> int:
    """Count the tasks that did something in more than one attempt."""
    return sum(len(numbers) - 1 for numbers in _attempts(seen).values())


def _attempts(seen: Evidence) -> dict[tuple[str, str], set[int]]:
    """Give the attempts that left a line in the ledger, for each task of each execution."""
    attempts: dict[tuple[str, str], set[int]] = {}
    for effect in seen.effects:
        attempts.setdefault(effect.run, set()).add(effect.attempt)
    return attempts


def _in_storage(seen: Evidence) -> Iterator[Violation]:
    """Internal storage holds the bytes and the manifest of each detection that was read, and nothing else."""
    known = set()
    for row in seen.journal.detections:
        if row["uri"]:
            path = row["uri"].removeprefix("kestra:///")
            known |= {path, f"{path.rpartition('/')[0]}/manifest.json"}
    files = {path for path in seen.files if "/executions/" in path}
    yield from (Violation(Harm.LOST, f"no file behind the row: {path}") for path in sorted(known - files))
    yield from (Violation(Harm.LEFT, f"a file that no row knows: {path}") for path in sorted(files - known))


def _at_rest(seen: Evidence) -> Iterator[Violation]:
    """Nothing runs, waits or lies about any more."""
    if seen.code != 0:
        yield Violation(Harm.LEFT, f"the daemon ended with exit code {seen.code}")
    if seen.running:
        yield Violation(Harm.LEFT, f"{seen.running} programs still run")
    for path in seen.work:
        yield Violation(Harm.LEFT, f"a working directory is left: {path}")
    for journal, when in ((seen.before, "after the kill"), (seen.journal, "at the end")):
        if journal.integrity != "ok":
            yield Violation(Harm.LOST, f"the journal is damaged {when}: {journal.integrity}")
    unfinished = [row["id"] for row in seen.journal.executions if row["state"] in {"CREATED", "RUNNING"}]
    live = [row["object_key"] for row in seen.journal.detections if row["state"] in {"CLAIMED", "STORED", "COPIED"}]
    if unfinished or live:
        yield Violation(Harm.LEFT, f"not finished: executions {unfinished}, objects {live}")


def parse_effects(ledger: str) -> list[Effect]:
    """Read the ledger: task, execution, attempt, key and SHA-256 in each line."""
    rows = (line.split() for line in ledger.splitlines())
    return [Effect(task, execution, int(attempt), key, digest) for task, execution, attempt, key, digest in rows]
