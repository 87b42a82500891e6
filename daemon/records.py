"""The facts the journal keeps, and the states they go through. Pure data; `daemon.journal` alone writes them."""

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tidewaiter.triggers.bucket import S3Object

SUBFLOW = "io.kestra.plugin.core.flow.Subflow"
"""What started an execution that a task of another one started."""
STARTED_BY_EXECUTIONS = frozenset({SUBFLOW, "io.kestra.plugin.core.trigger.Flow"})

_NAMESPACE = uuid.UUID("6c1b0d0e-2f4e-5d53-9a65-7469646577ff")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class DetectionState(StrEnum):
    """
    Where an object is on its way into custody (reliability.md §3.2).

    ``CLAIMED → STORED → COPIED → DONE``; aside: ``SUPERSEDED`` (the key held other content before we read it),
    ``GONE`` (somebody removed it before we read it), ``PARKED`` (gave up reading for now; the object is untouched).
    """

    CLAIMED = "CLAIMED"
    STORED = "STORED"
    COPIED = "COPIED"
    DONE = "DONE"
    SUPERSEDED = "SUPERSEDED"
    GONE = "GONE"
    PARKED = "PARKED"


class ExecutionState(StrEnum):
    """The states of an execution (kestra.md §1.4)."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILED = "FAILED"
    KILLED = "KILLED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the execution is over."""
        return self not in {ExecutionState.CREATED, ExecutionState.RUNNING, ExecutionState.PAUSED}


class TaskRunState(StrEnum):
    """
    The states of one attempt at a task. ``INTERRUPTED``: the daemon stopped while it ran; ``RETRYING``: it failed and
    is tried again; ``RETRIED``: the execution failed and is tried again. In all three the next attempt takes its place.
    ``SKIPPED``: its ``runIf`` said no.
    """

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILED = "FAILED"
    KILLED = "KILLED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    INTERRUPTED = "INTERRUPTED"
    RETRYING = "RETRYING"
    RETRIED = "RETRIED"

    @property
    def ended(self) -> bool:
        """Whether this attempt is over and its result stands."""
        return self not in {
            TaskRunState.RUNNING, TaskRunState.INTERRUPTED, TaskRunState.RETRYING, TaskRunState.RETRIED,
        }  # fmt: skip


class RoutePurpose(StrEnum):
    """Why an object goes elsewhere: its execution ended well, or badly, or an operator drives it in again."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REDRIVE = "REDRIVE"


class RouteState(StrEnum):
    """How far an object is on its way: not begun, at its destination, and gone from where it was."""

    PENDING = "PENDING"
    PLACED = "PLACED"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class TriggerKey:
    """Which trigger: ``namespace/flow/trigger``; no part can contain a slash."""

    namespace: str
    flow_id: str
    trigger_id: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.flow_id}/{self.trigger_id}"

    @classmethod
    def parse(cls, text: str) -> "TriggerKey":
        """Read what ``str`` wrote."""
        return cls(*text.split("/"))

    def answers_to(self, text: str) -> bool:
        """
        Whether a user who typed *text* can mean this trigger: ``flow/trigger`` is enough, a dot after the namespace
        is fine.
        """
        return text in {str(self), f"{self.flow_path}/{self.trigger_id}", f"{self.flow_id}/{self.trigger_id}"}

    @property
    def flow_path(self) -> str:
        """The flow's full name, ``namespace.flow``."""
        return f"{self.namespace}.{self.flow_id}"


@dataclass(frozen=True, slots=True)
class Detection:
    """
    One object seen by one trigger, from claim to settlement.

    *etag*, *version_id* and *last_modified* are its identity; *batch_id* groups the objects of one execution,
    *execution_id* follows from it. *dest_etag* is that of the archived copy, once there is one. *blocked* says that the
    action failed so long that the execution was let go before it (ACTION_BLOCKED). *captures* are the named parts of
    its key; a *marker* is no object of its execution: it was there to complete the set.
    """

    id: str
    trigger: str
    batch_id: str
    ordinal: int
    flow_revision: int
    bucket: str
    key: str
    etag: str
    size: int
    last_modified: str
    version_id: str | None
    change_type: str
    action: str
    state: DetectionState
    dest_bucket: str | None = None
    dest_key: str | None = None
    dest_etag: str | None = None
    uri: str | None = None
    sha256: str | None = None
    attempts: int = 0
    next_try: str | None = None
    action_since: str | None = None
    blocked: bool = False
    error: str | None = None
    captures: Mapping[str, str] = field(default_factory=dict)
    marker: bool = False

    @property
    def execution_id(self) -> str:
        """The id of the execution this detection belongs to."""
        return execution_id(self.batch_id)

    @property
    def object(self) -> S3Object:
        """The object as it was listed, with the version id if the read told us one."""
        return S3Object(
            bucket=self.bucket,
            key=self.key,
            etag=self.etag,
            size=self.size,
            last_modified=datetime.fromisoformat(self.last_modified),
            version_id=self.version_id,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """
    One run of a flow. *held* while an object of its batch still waits for its action.

    *inputs* are as given until it first starts, then complete. *variables* are what ``trigger`` shows where no bucket
    started it. *parent_id* is the execution whose task started it. Paused, it goes on by itself at *resume_at*;
    *after_pending*: it has ended, but its last tasks have not been run yet.
    """

    id: str
    batch_id: str
    namespace: str
    flow_id: str
    flow_revision: int
    trigger: str
    trigger_type: str
    state: ExecutionState
    held: bool
    attempts: int
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    original_id: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    kill_requested: bool = False
    next_try: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] | None = None
    parent_id: str | None = None
    resume_at: str | None = None
    after_pending: bool = False

    @property
    def flow_path(self) -> str:
        """The flow's full name, ``namespace.flow``."""
        return f"{self.namespace}.{self.flow_id}"

    @property
    def trigger_id(self) -> str:
        """The trigger's id within its flow."""
        return self.trigger.rpartition("/")[2]

    @property
    def started_by(self) -> tuple[str, str, str] | None:
        """Namespace, flow and id of the execution that started this one, by a task or by its end; None without one."""
        if self.trigger_type not in STARTED_BY_EXECUTIONS or self.variables is None:
            return None
        return self.variables["namespace"], self.variables["flowId"], self.variables["executionId"]


@dataclass(frozen=True, slots=True)
class TaskRun:
    """
    One attempt at one task of an execution.

    *task_path* names the tasks it is in, a loop with the number of the iteration: ``each[2]/task``. *value* and
    *iteration* are those of the innermost loop; *decision* is what the task decided when it began and holds to, such
    as the values of a loop.
    """

    execution_id: str
    task_path: str
    attempt: int
    state: TaskRunState
    started_at: str
    ended_at: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    value: str | None = None
    iteration: int | None = None
    decision: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The same for every attempt at the task."""
        return task_run_id(self.execution_id, self.task_path)

    @property
    def task_id(self) -> str:
        """The task's id within its flow."""
        return self.task_path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where one object goes after its detection is over. The destination is recorded before anything is done; without one
    the object is only removed.
    """

    id: str
    detection_id: str
    trigger: str
    execution_id: str | None
    purpose: RoutePurpose
    state: RouteState
    created_at: str
    updated_at: str
    dest_bucket: str | None = None
    dest_key: str | None = None
    dest_etag: str | None = None
    attempts: int = 0
    next_try: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the store the content of a detection is now; *etag* is None where the store did not tell it."""

    bucket: str
    key: str
    etag: str | None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a task run, or the execution itself (*task_path* empty), had to say."""

    execution_id: str
    task_path: str
    attempt: int
    at: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """What is known of a trigger beyond its definition. *cause* is None while it works."""

    trigger: str
    paused: bool = False
    cause: str | None = None
    message: str | None = None
    hint: str | None = None
    since: str | None = None


def parse_timestamp(text: str) -> datetime:
    """Read what `timestamp` wrote."""
    return datetime.fromisoformat(text)


def now() -> str:
    """The present as UTC ISO-8601 text with microseconds: sorts by time, reads well, the same in every database."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """Write *moment* as the journal does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def storable(text: str) -> str:
    """Replace what no database takes: lone halves of surrogate pairs, which JSON can name but UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def new_id() -> str:
    """
    Make an id of 26 characters that sorts by time of making and cannot be guessed.

    Shaped like a ULID, but with nanoseconds: batches claimed in one go must sort in the order they were made.
    """
    value = (time.time_ns() << 64) | secrets.randbits(64)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def execution_id(batch_id: str) -> str:
    """Give the id of the execution of a batch; the same batch always has the same execution (reliability.md §3.1)."""
    return str(uuid.uuid5(_NAMESPACE, batch_id))


def task_run_id(execution: str, task_path: str) -> str:
    """Give the id of the task run at *task_path* in an execution."""
    return str(uuid.uuid5(_NAMESPACE, f"{execution}/{task_path}"))
