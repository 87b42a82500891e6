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
            "taskCache": "a task with a recorded result is never run again within its execution; others always run",
            "assets": "there is no catalogue of assets here",
        }
    )

    id: Id
    type: str
    description: str | None = None
    disabled: bool = False
    run_if: Dynamic[Text] = "true"
    timeout: Dynamic[PositiveDuration | None] = None
    retry: Retry | None = None
    allow_failure: bool = False
    allow_warning: bool = False
    log_level: Level | None = None

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
    type: str
    description: str | None = None
    disabled: bool = False
    allow_concurrent: bool = False
    log_level: Annotated[Level | None, Field(validation_alias=AliasChoices("logLevel", "minLogLevel"))] = None
    labels: Labels = Field(default_factory=dict)
    stop_after: tuple[EndedState, ...] = ()


class Output(Spec):
    """One output of a flow, rendered when its last task has ended."""

    id: Id
    type: str = "STRING"
    description: str | None = None
    display_name: str | None = None
    required: bool = True
    value: Dynamic[Any]


class Concurrency(Spec):
    """
    How many executions of the flow may run at once. Further ones wait in order of arrival (``QUEUE``), or end at once
    as ``CANCELLED`` or ``FAILED``.
    """

    limit: Annotated[int, Field(gt=0)]
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class PluginDefault(Spec):
    """
    Properties that every task, trigger or task runner of a type has unless it says otherwise; with *forced*, whatever
    it says. *type* is a type's name or the beginning of several.
    """

    type: str
    forced: bool = False
    values: dict[str, Any] = Field(default_factory=dict)


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
            "listeners": "Kestra has removed them; use 'afterExecution' or a Flow trigger",
        }
    )

    id: Id
    namespace: Namespace
    revision: int | None = None
    description: str | None = None
    labels: Labels = Field(default_factory=dict)
    variables: dict[str, Any] = Field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    tasks: Annotated[tuple[TaskT, ...], Field(min_length=1)]
    errors: tuple[TaskT, ...] = ()
    finally_: tuple[TaskT, ...] = Field((), alias="finally")
    after_execution: tuple[TaskT, ...] = ()
    triggers: tuple[TriggerT, ...] = ()
    outputs: tuple[Output, ...] = ()
    plugin_defaults: tuple[PluginDefault, ...] = Field(
        (), validation_alias=AliasChoices("pluginDefaults", "taskDefaults")
    )
    concurrency: Concurrency | None = None
    retry: Retry | None = None
    disabled: bool = False

    @property
    def path(self) -> str:
        """The flow's full name, ``namespace.id``."""
        return f"{self.namespace}.{self.id}"
