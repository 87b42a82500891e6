"""The tasks on files of items."""

import json

import pytest

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.tasks.items import DeduplicateItems, FilterItems, run_deduplicate_items, run_filter_items


def put(files, *items):
    return files.put("".join(json.dumps(item) + "\n" for item in items), "items.jsonl")


def items(files, uri):
    return [json.loads(line) for line in files.text(uri).splitlines()]


def deduplicate(uri, expr):
    return DeduplicateItems(id="t", type="storage.DeduplicateItems", expr=expr, **{"from": uri})


def keep(uri, condition, **properties):
    return FilterItems(id="t", type="storage.FilterItems", filterCondition=condition, **{"from": uri}, **properties)


async def test_the_last_of_equals_stays(context, files):
    """Of the items with one key the last is kept, in its place, and they are counted."""
    given = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": None}, {"k": "c", "v": 4}, {"k": "b", "v": 5}]
    outputs = (await run_deduplicate_items(deduplicate(put(files, *given), "{{ k }}"), context)).outputs

    assert items(files, outputs.pop("uri")) == given[2:]
    assert outputs == {"numKeys": 3, "processedItemsTotal": 5, "droppedItemsTotal": 2}


async def test_a_key_of_several_fields(context, files):
    """The expression may put fields together, and look at what the task's properties see."""
    given = [{"a": 1, "b": 2}, {"a": 12, "b": ""}, {"a": 1, "b": 2}]
    outputs = (await run_deduplicate_items(deduplicate(put(files, *given), "{{ a }}-{{ b }}"), context)).outputs

    assert (outputs["numKeys"], items(files, outputs["uri"])) == (2, given[1:])


@pytest.mark.parametrize(
    ("way", "expected"),
    [({}, [2, 4]), ({"filterType": "INCLUDE"}, [2, 4]), ({"filterType": "EXCLUDE"}, [1, 3])],
)
async def test_filter(context, files, way, expected):
    """Items that meet the condition are kept, or dropped."""
    uri = put(files, *({"n": n} for n in range(1, 5)))
    outputs = (await run_filter_items(keep(uri, " {{ n % 2 == 0 }} ", **way), context)).outputs

    assert [item["n"] for item in items(files, outputs.pop("uri"))] == expected
    assert outputs == {"processedItemsTotal": 4, "droppedItemsTotal": 2}


@pytest.mark.parametrize(("behaviour", "expected"), [("INCLUDE", [{"n": 2}, {"m": 1}]), ("EXCLUDE", [{"n": 2}])])
async def test_items_that_cannot_be_judged(context, files, behaviour, expected):
    """An item on which the condition fails is kept or dropped as told, whatever the filter's type."""
    uri = put(files, {"n": 2}, {"m": 1}, {"n": 1})
    outputs = (await run_filter_items(keep(uri, "{{ n == 2 }}", errorOrNullBehavior=behaviour), context)).outputs

    assert items(files, outputs["uri"]) == expected


async def test_an_item_that_cannot_be_judged_fails_the_task(context, files):
    """That is so unless told otherwise; the error names the expression."""
    with pytest.raises(ExpressionError, match="n == 2"):
        await run_filter_items(keep(put(files, {"m": 1}), "{{ n == 2 }}"), context)


@pytest.mark.parametrize("line", ["{", "[1]", "{a: 1}", "x" * 10])
async def test_lines_that_are_no_items(context, files, line):
    """A line that is not a JSON object is named with its number."""
    with pytest.raises(TaskError, match="line 2 is not"):
        await run_filter_items(keep(files.put('{"a": 1}\n' + line), "true"), context)
