"""
The tasks on files of items, one JSON object in each line: DeduplicateItems and FilterItems.

Kestra keeps such files in Amazon Ion; its JSON lines are read here, its own notations are not.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.config.expression import truthy
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Rendering, Result, TaskContext
from tidewaiter.tasks.lines import LINES_AT_ONCE, Steps, in_steps, lines
from tidewaiter.tasks.storage import Source, made

Choice = Literal["INCLUDE", "EXCLUDE"]


class DeduplicateItems(TaskSpec):
    """
    Keep, of all items of the file *from* for which *expr* renders to the same text, the last one (Kestra's
    documentation of ``core.storage.DeduplicateItems``). The expression sees the item's fields as variables.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.DeduplicateItems",
        "io.kestra.core.tasks.storages.DeduplicateItems",
    )

    from_: Source
    """The URI of the file."""
    expr: Text
    """An expression that is the same for items that are the same; it sees their fields."""


class FilterItems(TaskSpec):
    """
    Keep the items of the file *from* for which *filter_condition* holds, or with *filter_type* ``EXCLUDE`` the others
    (Kestra's documentation of ``core.storage.FilterItems``). The condition sees the item's fields as variables;
    *error_or_null_behavior* says what becomes of an item on which it cannot be rendered.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.storage.FilterItems",
        "io.kestra.core.tasks.storages.FilterItems",
    )

    from_: Source
    """The URI of the file."""
    filter_condition: Text
    """An expression that holds for the items that are meant; it sees their fields."""
    filter_type: Dynamic[Choice] = "INCLUDE"
    """Keep the items that are meant, or the others."""
    error_or_null_behavior: Dynamic[Literal["FAIL", "INCLUDE", "EXCLUDE"]] = "FAIL"
    """What becomes of an item on which the condition cannot be rendered."""


@dataclass(slots=True)
class _Tally:
    processed: int = 0
    dropped: int = 0


async def run_deduplicate_items(spec: DeduplicateItems, context: TaskContext) -> Result:
    """Do a `DeduplicateItems` task: outputs ``uri``, ``numKeys``, ``processedItemsTotal``, ``droppedItemsTotal``."""
    source, tally = context.files.path(spec.from_), _Tally()
    last = await in_steps(_last_of_each(source, spec.expr, context.rendering))
    kept = frozenset(last.values())
    uri = await _kept(context, source, tally, lambda number, _line: number in kept)
    return Result(outputs={"uri": uri, "numKeys": len(last), **_totals(tally)})


def _last_of_each(source: Path, expr: str, rendering: Rendering) -> Steps[dict[bytes, int]]:
    """Give the number of the last line with each key; keys are known by their hash, however long they are."""
    last: dict[bytes, int] = {}
    for number, line in enumerate(lines(source), start=1):
        key = rendering.render(expr, _item(number, line))
        last[hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()] = number
        if number % LINES_AT_ONCE == 0:
            yield
    return last


async def run_filter_items(spec: FilterItems, context: TaskContext) -> Result:
    """
    Do a `FilterItems` task: outputs ``uri``, ``processedItemsTotal`` and ``droppedItemsTotal``.

    Raises:
        ExpressionError: the condition cannot be rendered on an item, and *error_or_null_behavior* is ``FAIL``.
    """
    source, tally = context.files.path(spec.from_), _Tally()
    uri = await _kept(context, source, tally, lambda number, line: _passes(spec, _item(number, line), context))
    return Result(outputs={"uri": uri, **_totals(tally)})


def _passes(spec: FilterItems, item: dict[str, Any], context: TaskContext) -> bool:
    try:
        holds = truthy(context.rendering.render(spec.filter_condition, item))
    except ExpressionError:
        if spec.error_or_null_behavior == "FAIL":
            raise
        return spec.error_or_null_behavior == "INCLUDE"
    return holds is (spec.filter_type == "INCLUDE")


async def _kept(context: TaskContext, source: Path, tally: _Tally, wanted: Callable[[int, bytes], bool]) -> str:
    """Store the lines of *source* that are *wanted*, and count."""

    def fill(file: BinaryIO) -> Steps[None]:
        for number, line in enumerate(lines(source), start=1):
            tally.processed += 1
            if wanted(number, line):
                file.write(line + b"\n")
            else:
                tally.dropped += 1
            if number % LINES_AT_ONCE == 0:
                yield

    return await made(context, f"items{source.suffix}", fill)


def _totals(tally: _Tally) -> dict[str, int]:
    return {"processedItemsTotal": tally.processed, "droppedItemsTotal": tally.dropped}


def _item(number: int, line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TaskError(
            f"line {number} is not JSON: {error}", "give a file with one JSON object in each line"
        ) from error
    if not isinstance(item, dict):
        raise TaskError(f"line {number} is not a JSON object", "give a file with one JSON object in each line")
    return item
