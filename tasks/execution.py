"""The tasks that do nothing but judge, name or delay their execution: Fail, Assert, Labels and Sleep."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.config.expression import truthy
from tidewaiter.config.fields import Duration, Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext

_RESERVED = "system."


class Fail(TaskSpec):
    """
    Fail the execution, always or on a *condition*: rendered text that is not empty, ``0``, ``-0`` or ``false``
    (Kestra's documentation of ``core.execution.Fail``).
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.execution.Fail",
        "io.kestra.core.tasks.executions.Fail",
    )

    condition: Dynamic[Text | None] = None
    """Fail only if this renders to something else than nothing, ``0``, ``-0`` or ``false``."""
    error_message: Dynamic[Text] = "Task failure"
    """What the failure says."""


class Assert(TaskSpec):
    """
    Fail the execution unless every one of *conditions* holds. Each is rendered by itself, so that the log names all
    that do not; one that cannot be rendered does not hold (Kestra's documentation of ``core.execution.Assert``).
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.execution.Assert",)

    conditions: Annotated[tuple[Text, ...], Field(min_length=1)]
    """What must hold; usually expressions."""
    error_message: Dynamic[Text | None] = None
    """What the failure says."""


class Labels(TaskSpec):
    """
    Add labels to the execution: a map, a list of ``key`` and ``value``, or either as JSON text. ``system.`` is
    reserved (Kestra's documentation of ``core.execution.Labels``).
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.execution.Labels",
        "io.kestra.core.tasks.executions.Labels",
    )

    labels: Dynamic[dict[str, Any] | tuple[dict[str, Any], ...]]
    """The labels: a map, a list of ``key`` and ``value``, or either as JSON text."""


class Sleep(TaskSpec):
    """Wait for *duration*; one of zero or less is over at once (Kestra's documentation of ``core.flow.Sleep``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.flow.Sleep",)

    duration: Dynamic[Duration]
    """How long to wait."""


async def run_fail(spec: Fail, _context: TaskContext) -> Result:
    """Do a `Fail` task: FAILED with its message, unless there is a condition that does not hold."""
    if spec.condition is not None and not truthy(spec.condition):
        return Result()
    return Result("FAILED", error=spec.error_message)


async def run_assert(spec: Assert, context: TaskContext) -> Result:
    """Do an `Assert` task: FAILED with the number of conditions that do not hold, each of them in the log."""
    failed = sum(not _holds(condition, context) for condition in spec.conditions)
    if not failed:
        return Result()
    count = f"{failed} assertion{'s' if failed > 1 else ''} failed"
    return Result("FAILED", error=f"{count}: {spec.error_message}" if spec.error_message else count)


def _holds(condition: str, context: TaskContext) -> bool:
    try:
        holds = truthy(context.rendering.render(condition))
    except ExpressionError as error:
        context.log("ERROR", f"assertion {condition!r} cannot be rendered: {error}")
        return False
    if not holds:
        context.log("ERROR", f"assertion {condition!r} failed")
    return holds


async def run_labels(spec: Labels, _context: TaskContext) -> Result:
    """
    Do a `Labels` task.

    Raises:
        TaskError: a label has no name or no value, or a reserved name.
    """
    return Result(labels=dict(_label(name, value) for name, value in _pairs(spec.labels)))


def _pairs(labels: Mapping[str, Any] | tuple[Mapping[str, Any], ...]) -> list[tuple[Any, Any]]:
    if isinstance(labels, Mapping):
        return list(labels.items())
    return [(label.get("key"), label.get("value")) for label in labels]


def _label(name: Any, value: Any) -> tuple[str, str]:
    if not name or value is None or value == "":
        raise TaskError(f"label {name!r} has the value {value!r}", "give every label a name and a value")
    if str(name).startswith(_RESERVED):
        raise TaskError(f"label {name!r} is reserved for the system", f"choose a name that is not below '{_RESERVED}'")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(name), text


async def run_sleep(spec: Sleep, _context: TaskContext) -> Result:
    """Do a `Sleep` task."""
    await asyncio.sleep(max(spec.duration.total_seconds(), 0))
    return Result()
