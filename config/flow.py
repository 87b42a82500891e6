"""The shape of a flow (kestra.md §1.4, §1.5): what its author may write, whatever the task and trigger types are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.fields import Id, Namespace, PositiveDuration, Text
from tidewaiter.config.spec import Dynamic, Spec, TypedSpec

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


def _labels(value: Any) -> Any:
    """Accept ``[{key: a, value: b}]`` beside ``{a: b}``, as Kestra does."""
    if isinstance(value, list) and all(isinstance(item, Mapping) and item.keys() == {"key", "value"} for item in value):
        return {item["key"]: item["value"] for item in value}
    return value


Labels = Annotated[dict[str, Text], BeforeValidator(_labels)]
"""Labels by name; their values may be expressions, rendered when an execution starts."""


class TaskSpec(TypedSpec):
    """The properties every task has (kestra.md §1.5)."""

    id: Id
    type: str
    description: str | None = None
    disabled: bool = False
    timeout: Dynamic[PositiveDuration | None] = None
    allow_failure: bool = False
    allow_warning: bool = False
    log_level: Level | None = None

    def children(self) -> tuple["TaskSpec", ...]:
        """The tasks inside this one, in order."""
        return ()


class TriggerSpec(TypedSpec):
    """The properties every trigger has (kestra.md §1.3)."""

    id: Id
    type: str
    description: str | None = None
    disabled: bool = False
    interval: PositiveDuration = timedelta(minutes=1)
    allow_concurrent: bool = False
    log_level: Annotated[Level | None, Field(validation_alias="logLevel")] = None
    labels: Labels = Field(default_factory=dict)


class Input(Spec):
    """One input of a flow. Executions started by a bucket carry no inputs, so only its default is ever used here."""

    id: Id
    type: Literal[
        "STRING",
        "ENUM",
        "SELECT",
        "INT",
        "FLOAT",
        "BOOLEAN",
        "BOOL",
        "DATETIME",
        "DATE",
        "TIME",
        "DURATION",
        "JSON",
        "YAML",
        "URI",
        "ARRAY",
        "MULTISELECT",
        "EMAIL",
    ] = "STRING"
    description: str | None = None
    display_name: str | None = None
    required: bool = True
    defaults: Any = None
    values: tuple[Text, ...] = ()
    item_type: str | None = None


class Output(Spec):
    """One output of a flow, rendered when its last task has ended."""

    id: Id
    type: str = "STRING"
    description: str | None = None
    display_name: str | None = None
    value: Dynamic[Any]


class Concurrency(Spec):
    """How many executions of the flow may run at once; further ones wait in order of arrival."""

    limit: Annotated[int, Field(gt=0)]
    behavior: Literal["QUEUE"] = "QUEUE"

    @field_validator("behavior", mode="before")
    @classmethod
    def _queue_only(cls, value: Any) -> Any:
        if value in {"CANCEL", "FAIL"}:
            raise PydanticCustomError(
                "not_yet",
                "behavior {value} is not supported yet: an object in custody is never dropped; use QUEUE",
                {"value": value},
            )
        return value


TaskT = TypeVar("TaskT", bound=TaskSpec)
TriggerT = TypeVar("TriggerT", bound=TriggerSpec)


class Flow(Spec, Generic[TaskT, TriggerT]):
    """A flow: what to run, and what starts it."""

    id: Id
    namespace: Namespace
    revision: int | None = None
    description: str | None = None
    labels: Labels = Field(default_factory=dict)
    variables: dict[str, Any] = Field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    tasks: Annotated[tuple[TaskT, ...], Field(min_length=1)]
    errors: tuple[TaskT, ...] = ()
    triggers: tuple[TriggerT, ...] = ()
    outputs: tuple[Output, ...] = ()
    concurrency: Concurrency | None = None
    disabled: bool = False

    @property
    def path(self) -> str:
        """The flow's full name, ``namespace.id``."""
        return f"{self.namespace}.{self.id}"
