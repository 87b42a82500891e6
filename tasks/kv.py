"""The tasks on key/value stores: Set, Get, Delete and GetKeys (Kestra's documentation of ``core.kv``)."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Namespace, PositiveDuration, Text, parse_duration
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import KeyValue, Result, TaskContext

Key = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$")]


class NamespaceSpec(TaskSpec):
    """What these tasks have in common: the namespace whose store they use, the flow's own unless they name another."""

    namespace: Dynamic[Namespace | None] = None
    """The namespace whose store is meant; the flow's own without it."""


class Set(NamespaceSpec):
    """
    Set *key* to *value*, until *ttl* has passed if it is given. Without *kv_type* a value that is one expression keeps
    that expression's type.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.kv.Set",)

    key: Dynamic[Key]
    """The key."""
    value: Any
    """The value."""
    kv_type: Dynamic[Literal["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"] | None] = None
    """The type of the value; without it, that of the expression."""
    kv_description: Dynamic[Text | None] = None
    """What the value is, for readers."""
    overwrite: Dynamic[bool] = True
    """Replace a value that is there; otherwise that is a failure."""
    ttl: Dynamic[PositiveDuration | None] = None
    """How long the value is kept."""


class Get(NamespaceSpec):
    """Give the value of *key*; where no namespace is named, those above the flow's are looked at, too."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.kv.Get",)

    key: Dynamic[Text]
    """The key."""
    error_on_missing: Dynamic[bool] = False
    """Fail if there is no such key."""


class Delete(NamespaceSpec):
    """Remove *key* from the store."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.kv.Delete",)

    key: Dynamic[Text]
    """The key."""
    error_on_missing: Dynamic[bool] = False
    """Fail if there is no such key."""


class GetKeys(NamespaceSpec):
    """Give the keys that begin with *prefix*, or all."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.kv.GetKeys",)

    prefix: Dynamic[Text] = ""
    """How the keys begin."""


async def run_set(spec: Set, context: TaskContext) -> Result:
    """
    Do a `Set` task.

    Raises:
        TaskError: the value does not fit the type, is too big, or the key is there and must not be overwritten.
    """
    expires = datetime.now(UTC) + spec.ttl if spec.ttl else None
    value = KeyValue(_value(spec, context), spec.kv_description, expires)
    if not await context.kv.set(spec.key, value, spec.namespace, overwrite=spec.overwrite):
        raise TaskError(f"the key '{spec.key}' has a value already", "overwrite: true replaces it")
    return Result()


def _value(spec: Set, context: TaskContext) -> Any:
    value = _evaluated(spec.value, context, typed=spec.kv_type is None)
    if spec.kv_type is None or not isinstance(value, str):
        return value
    try:
        return _CONVERSIONS[spec.kv_type](value)
    except ValueError as error:
        raise TaskError(
            f"the value of key '{spec.key}' is no {spec.kv_type}: {error}", "correct the value, or leave kvType out"
        ) from error


def _evaluated(value: Any, context: TaskContext, *, typed: bool) -> Any:
    if isinstance(value, str):
        return context.rendering.evaluate(value) if typed else context.rendering.render(value)
    if isinstance(value, Mapping):
        return {key: _evaluated(item, context, typed=typed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_evaluated(item, context, typed=typed) for item in value]
    return value


def _number(text: str) -> int | float:
    number = json.loads(text)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"'{text}'")  # noqa: TRY004 - a wrong text, not a wrong type
    return number


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _day(text: str) -> str:
    date.fromisoformat(text[:10])
    return text


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "STRING": str,
        "NUMBER": _number,
        "BOOLEAN": lambda text: text.strip().lower() == "true",
        "DATETIME": _moment,
        "DATE": _day,
        "DURATION": lambda text: parse_duration(text).total_seconds(),
        "JSON": json.loads,
    }
)
"""What becomes of a text of each type; a duration is kept in seconds, dates as they are written."""


async def run_get(spec: Get, context: TaskContext) -> Result:
    """Do a `Get` task: its output is ``value``. Raises `TaskError` if it is missing and must not be."""
    found = context.kv.find(spec.key, spec.namespace)
    if found is None and spec.error_on_missing:
        raise _missing(spec)
    return Result(outputs={"value": found.value if found else None})


async def run_delete(spec: Delete, context: TaskContext) -> Result:
    """Do a `Delete` task: its output is ``deleted``. Raises `TaskError` if it is missing and must not be."""
    deleted = await context.kv.delete(spec.key, spec.namespace)
    if not deleted and spec.error_on_missing:
        raise _missing(spec)
    return Result(outputs={"deleted": deleted})


async def run_get_keys(spec: GetKeys, context: TaskContext) -> Result:
    """Do a `GetKeys` task: its output is ``keys``."""
    return Result(outputs={"keys": [key for key in context.kv.keys(spec.namespace) if key.startswith(spec.prefix)]})


def _missing(spec: Get | Delete) -> TaskError:
    where = f"namespace '{spec.namespace}'" if spec.namespace else "the flow's namespace"
    return TaskError(f"there is no key '{spec.key}' in {where}", "errorOnMissing: false accepts that")
