"""What a running task is given and gives back. No task sees the journal, the flow or another task's directory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tidewaiter.config.spec import TypedSpec
from tidewaiter.tasks.objectstore import ObjectStores

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
EndState = Literal["SUCCESS", "WARNING", "FAILED", "CANCELLED", "SKIPPED"]


class Log(Protocol):
    """The log of one task run."""

    def __call__(self, level: Level, message: str) -> None:
        """Append one record. Never blocks and never fails; secrets in *message* are masked by the receiver."""


class Files(Protocol):
    """Internal storage as one execution sees it (kestra.md §1.8)."""

    def owns(self, text: str) -> bool:
        """Tell whether *text* is an internal-storage URI (``kestra:///…``)."""

    def path(self, uri: str) -> Path:
        """
        Give the stored file *uri*, for reading only.

        Raises:
            TaskError: no such file, or it belongs to another execution.
        """

    async def fetch(self, uri: str, destination: Path) -> None:
        """
        Copy the stored file *uri* to *destination*, which must not exist; parents must exist.

        Raises:
            TaskError: no such file, or it belongs to another execution.
        """

    async def store(self, source: Path, name: str) -> str:
        """
        Store a copy of the regular file *source* durably and give its URI. The file itself is left where it is.

        *name* is its path relative to the working directory; only its last part appears in the URI, made safe.
        """

    async def delete(self, uri: str) -> bool:
        """
        Remove the stored file *uri*, which a task of this execution made, and tell whether it was there. Idempotent.

        Raises:
            TaskError: it belongs to another execution, or it is an object in custody.
        """


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A value in a key/value store, as JSON-like data. It vanishes when it *expires*; without that it stays."""

    value: Any
    description: str | None = None
    expires: datetime | None = None


class KeyValues(Protocol):
    """
    The key/value stores of namespaces (Kestra's documentation, "KV Store"). A task may name any namespace; None is that
    of its flow.
    """

    def find(self, key: str, namespace: str | None = None) -> KeyValue | None:
        """Give what *key* has; where no namespace is named, the flow's namespace and those above it are looked at."""

    def keys(self, namespace: str | None = None) -> list[str]:
        """Give the keys there are, sorted."""

    async def set(self, key: str, value: KeyValue, namespace: str | None = None, *, overwrite: bool = True) -> bool:
        """
        Set *key* durably; tells whether that was done: without *overwrite* a key that is there stays as it is.

        Raises:
            TaskError: the value is no JSON, or too big.
        """

    async def delete(self, key: str, namespace: str | None = None) -> bool:
        """Remove *key*; tells whether it was there. Idempotent."""


class Rendering(Protocol):
    """
    Renders the expressions that a task evaluates itself: for each of many items, or to go on when one fails.

    They see what the task's properties see, and *more* on top of it. Threads may call it.
    """

    def render(self, source: str, more: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Replace every expression in *source* by its text. Raises `ExpressionError`."""

    def evaluate(self, source: str, more: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """Like `render`, but a *source* that is one expression keeps its value's type. Raises `ExpressionError`."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How the operator lets programs run (settings ``runners``)."""

    docker: Literal["refuse", "process"] = "refuse"
    environment: Mapping[str, str] = field(default_factory=dict)
    kill_grace_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class GitSettings:
    """What git may do here (settings ``git``). *config_file* is the only git configuration file that is read."""

    allowed_protocols: tuple[str, ...] = ("https", "ssh")
    config_file: Path | None = None


@dataclass(frozen=True, slots=True)
class TaskContext:
    """
    Everything one task run may touch.

    *workdir* is its working directory, private or shared with the siblings of a WorkingDirectory; *scratch* is a
    private directory outside it that becomes ``HOME`` of programs. Both exist and are removed by the caller.
    *cache* is kept between runs and shared by all. *environment* identifies the run to programs (``EXECUTION_ID`` …).
    *namespace_files* is the folder of the flow's namespace files, None if there is none. *task_run_id* marks every
    program of this run, so that `tidewaiter.tasks.process.kill_survivors` finds them after a crash of the daemon;
    runs that are alive at the same time never share one. *task_key* is what tells this task from every other in all
    executions: namespace, flow, task id, and the value of the loop around it, if any.
    """

    workdir: Path
    scratch: Path
    cache: Path
    files: Files
    kv: KeyValues
    stores: ObjectStores
    rendering: Rendering
    log: Log
    environment: Mapping[str, str]
    runners: RunnerSettings
    git: GitSettings
    namespace_files: Path | None = None
    task_run_id: str = ""
    task_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """
    How a task run ended. *outputs* is JSON-like data, kept on failure, too; *error* says why it failed or warns.
    *labels* are to be added to those of the execution, in place of those of the same name.
    """

    state: EndState = "SUCCESS"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class RunTask(Protocol):
    """The function behind a task type."""

    async def __call__(self, spec: Any, context: TaskContext, /) -> Result:
        """
        Do the work of *spec*, whose properties are all rendered.

        Raises:
            TaskError: the task cannot be done; its message becomes the reason of the failure.
        """


@dataclass(frozen=True, slots=True)
class TaskType:
    """One runnable task type: the properties it takes and the function that does it."""

    spec: type[TypedSpec]
    run: RunTask
