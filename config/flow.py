"""The shape of a flow (kestra.md §1.4, §1.5): what its author may write, whatever the task and trigger types are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field

from tidewaiter.config.fields import Id, Namespace, PositiveDuration, Text
from tidewaiter.config.inputs import Input
from tidewaiter.config.retry import Retry
from tidewaiter.config.spec import Dynamic, Spec, TypedSpec

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
EndedState = Literal["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"]

_NO_WORKERS = "there are no groups of workers here"
_LOGS_ARE_KEPT = "logs are kept in the journal; see 'tidewaiter executions logs'"


def _labels(value: Any) -> Any:
    """Accept ``[{key: a, value: b}]`` beside ``{a: b}``, as Kestra does."""
    if isinstance(value, list) and all(isinstance(item, Mapping) and item.keys() == {"key", "value"} for item in value):
        return {item["key"]: item["value"] for item in value}
    return value


Labels = Annotated[dict[str, Text], BeforeValidator(_labels)]
"""Labels by name; their values may be expressions, rendered when an execution starts."""


class TaskSpec(TypedSpec):
    """The properties every task has (kestra.md §1.5)."""

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "logToFile": _LOGS_ARE_KEPT,
            "workerGroup": _NO_WORKERS,
            "workerSelector": _NO_WORKERS,
            "taskCache": "a task with a recorded result is never run again within its execution; others always run",
            "assets": "there is no catalogue of assets here",
        }
    )

    id: Id
    """The name under which the flow finds its outputs; unique in the flow."""
    type: str
    """What it does: the name of a task type."""
    description: str | None = None
    """For readers; Markdown."""
    disabled: bool = False
    """Leave it out, as if it were not there."""
    run_if: Dynamic[Text] = "true"
    """Skip it if this renders to nothing, ``0``, ``-0`` or ``false``."""
    timeout: Dynamic[PositiveDuration | None] = None
    """How long one attempt may take before it is ended and has failed."""
    retry: Retry | None = None
    """How it is tried again after a failure; without it, as the task around it or the flow says."""
    allow_failure: bool = False
    """Let the flow go on after it has failed, with a warning."""
    allow_warning: bool = False
    """Take a warning for a success."""
    log_level: Level | None = None
    """Keep only records of this level and above."""

    def children(self) -> tuple["TaskSpec", ...]:
        """The tasks inside this one, in order."""
        return ()


class TriggerSpec(TypedSpec):
    """The properties every trigger has (kestra.md §1.3)."""

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "logToFile": _LOGS_ARE_KEPT,
            "workerGroup": _NO_WORKERS,
            "assets": "there is no catalogue of assets here",
            "failOnTriggerError": "what keeps a trigger from working is shown by 'tidewaiter triggers list'",
        }
    )

    id: Id
    """Its name; unique among the triggers of the flow."""
    type: str
    """What it waits for: the name of a trigger type."""
    description: str | None = None
    """For readers; Markdown."""
    disabled: bool = False
    """Start nothing."""
    allow_concurrent: bool = False
    """Start an execution while the one before it has not ended."""
    log_level: Annotated[Level | None, Field(validation_alias=AliasChoices("logLevel", "minLogLevel"))] = None
    """Keep only records of this level and above."""
    labels: Labels = Field(default_factory=dict)
    """Labels of the executions it starts; they win over those of the flow."""
    stop_after: tuple[EndedState, ...] = ()
    """Pause the trigger when an execution of it ends in one of these states."""


class Output(Spec):
    """One output of a flow, rendered when its last task has ended."""

    id: Id
    """Its name in the outputs of the execution."""
    type: str = "STRING"
    """Its type, for readers."""
    description: str | None = None
    """For readers."""
    display_name: str | None = None
    """What a form calls it."""
    required: bool = True
    """Whether the execution fails if it cannot be rendered."""
    value: Dynamic[Any]
    """What it is; it sees ``outputs`` of the tasks."""


class Concurrency(Spec):
    """
    How many executions of the flow may run at once. Further ones wait in order of arrival (``QUEUE``), or end at once
    as ``CANCELLED`` or ``FAILED``.
    """

    limit: Annotated[int, Field(gt=0)]
    """How many at once."""
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"
    """What becomes of the others."""


class PluginDefault(Spec):
    """
    Properties that every task, trigger or task runner of a type has unless it says otherwise; with *forced*, whatever
    it says. *type* is a type's name or the beginning of several.
    """

    type: str
    """The type's name, or how the names of several begin."""
    forced: bool = False
    """Win over what a task or trigger says itself."""
    values: dict[str, Any] = Field(default_factory=dict)
    """The properties."""


TaskT = TypeVar("TaskT", bound=TaskSpec)
TriggerT = TypeVar("TriggerT", bound=TriggerSpec)


class Flow(Spec, Generic[TaskT, TriggerT]):
    """
    A flow: what to run, and what starts it.

    After its *tasks*, in this order: *errors* if one failed, *finally* in any case, and when the end is recorded
    *afterExecution*.
    """

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "tenantId": "there are no tenants here",
            "deleted": "the folder of flows says which there are",
            "updated": "the journal knows each revision's time",
            "workerGroup": _NO_WORKERS,
            "sla": "there are no service-level agreements here; use 'timeout' to end what takes too long",
            "checks": "they concern the forms in which Kestra starts a flow",
            "extend": "it describes a blueprint in Kestra's catalogue",
            "listeners": "Kestra has removed them; use 'afterExecution' or a Flow trigger",
        }
    )

    id: Id
    """Its name; unique in the namespace."""
    namespace: Namespace
    """Where it belongs; dots separate levels."""
    revision: int | None = None
    """Kestra's count of its changes; for readers."""
    description: str | None = None
    """For readers; Markdown."""
    labels: Labels = Field(default_factory=dict)
    """Labels of all its executions."""
    variables: dict[str, Any] = Field(default_factory=dict)
    """Values for its expressions, as ``vars.name``. Expressions in them are rendered by ``render(vars.name)``."""
    inputs: tuple[Input, ...] = ()
    """What may be given to an execution, as ``inputs.id``."""
    tasks: Annotated[tuple[TaskT, ...], Field(min_length=1)]
    """What to do, one after another."""
    errors: tuple[TaskT, ...] = ()
    """What to do when a task has failed; the execution has failed all the same."""
    finally_: tuple[TaskT, ...] = Field((), alias="finally")
    """What to do in the end, whatever has happened."""
    after_execution: tuple[TaskT, ...] = ()
    """What to do when the execution has ended; it sees ``execution.state`` and no longer changes it."""
    triggers: tuple[TriggerT, ...] = ()
    """What starts it."""
    outputs: tuple[Output, ...] = ()
    """What an execution gives."""
    plugin_defaults: tuple[PluginDefault, ...] = Field(
        (), validation_alias=AliasChoices("pluginDefaults", "taskDefaults")
    )
    """Properties for all tasks and triggers of a type."""
    concurrency: Concurrency | None = None
    """How many of its executions may run at once; no limit without it."""
    retry: Retry | None = None
    """How tasks without a *retry* of their own are tried again."""
    disabled: bool = False
    """Start no executions."""

    @property
    def path(self) -> str:
        """The flow's full name, ``namespace.id``."""
        return f"{self.namespace}.{self.id}"
