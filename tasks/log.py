"""The tasks that only say something: Log, Return, Echo and OutputValues."""

from typing import Any, ClassVar

from tidewaiter.config.fields import Text
from tidewaiter.config.flow import Level, TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext


class Log(TaskSpec):
    """Write one or more records to the log."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log")

    message: Dynamic[Text | tuple[Text, ...]]
    """What to write: one record, or a list of them."""
    level: Dynamic[Level] = "INFO"
    """The level of the records."""


class Return(TaskSpec):
    """Give a rendered text as the output ``value``."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.debug.Return", "io.kestra.core.tasks.debugs.Return")

    format: Dynamic[Text | None] = None
    """The text."""


class Echo(TaskSpec):
    """Write a rendered text to the log; an old form of `Log`."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.debug.Echo", "io.kestra.core.tasks.debugs.Echo")

    format: Dynamic[Text] = ""
    """The text."""
    level: Dynamic[Level] = "INFO"
    """The level of the record."""


class OutputValues(TaskSpec):
    """Give rendered *values* as the output ``values`` (Kestra's documentation of ``core.output.OutputValues``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.output.OutputValues",)

    values: Dynamic[dict[str, Any] | None] = None
    """The outputs, by their names."""


async def run_log(spec: Log, context: TaskContext) -> Result:
    """Do a `Log` task: one record per message."""
    for message in (spec.message,) if isinstance(spec.message, str) else spec.message:
        context.log(spec.level, message)
    return Result()


async def run_return(spec: Return, context: TaskContext) -> Result:
    """Do a `Return` task."""
    context.log("DEBUG", f"value: {spec.format}")
    return Result(outputs={"value": spec.format})


async def run_echo(spec: Echo, context: TaskContext) -> Result:
    """Do an `Echo` task."""
    context.log(spec.level, spec.format)
    return Result()


async def run_output_values(spec: OutputValues, _context: TaskContext) -> Result:
    """Do an `OutputValues` task."""
    return Result(outputs={"values": dict(spec.values or {})})
