"""A file of lines into several."""

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.lines import MAX_LINE
from tidewaiter.tasks.split import MAX_PARTS, Cut, Split, run_split, split_stored


def spec(uri, **properties):
    return Split(id="t", type="storage.Split", **{"from": uri}, **properties)


async def parts(context, files, content, **properties):
    """Split *content* and give the texts of the parts."""
    uris = (await run_split(spec(files.put(content), **properties), context)).outputs["uris"]
    return [files.text(uri) for uri in uris]


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ({"rows": 2}, ["1\n2\n", "3\n4\n", "5\n"]),
        ({"rows": 5}, ["1\n2\n3\n4\n5\n"]),
        ({"bytes": 3}, ["1\n2\n", "3\n4\n", "5\n"]),
        ({"bytes": "1KB"}, ["1\n2\n3\n4\n5\n"]),
        ({"partitions": 2}, ["1\n3\n5\n", "2\n4\n"]),
        ({"partitions": 9}, ["1\n", "2\n", "3\n", "4\n", "5\n"]),
        ({"regexPattern": "([135])"}, ["1\n", "3\n", "5\n"]),
        ({"rows": 2, "separator": ";"}, ["1;2;", "3;4;", "5;"]),
        ({"rows": 1, "partitions": 1}, ["1\n2\n3\n4\n5\n"]),
    ],
)
async def test_ways(context, files, way, expected):
    """By lines, by size, in turn or by what a pattern finds; no part is empty."""
    assert await parts(context, files, "1\n2\r\n3\n4\n5", **way) == expected


async def test_groups_are_brought_together(context, files):
    """Lines with the same text in the group share a part, wherever they are."""
    assert await parts(context, files, "a 1\nb 2\nc\na 3\n", regexPattern=r"(\w) \d") == ["a 1\na 3\n", "b 2\n"]


async def test_nothing(context, files):
    """An empty file has no parts."""
    assert await parts(context, files, "", rows=1) == []


async def test_names(context, files):
    """The parts keep the extension of the file."""
    uris = await split_stored(files.put("1\n", "a.csv"), Cut(rows=1), context)

    assert uris[0].endswith(".csv")


async def test_kestras_units(context, files):
    """A part of 1KB has 1024 bytes, not 1000."""
    found = await parts(context, files, "x" * 9 + "\n" + ("y" * 9 + "\n") * 150, bytes="1KB")

    assert [len(part) for part in found] == [1030, 480]


async def test_bounds(context, files):
    """A file cannot fall into any number of parts, and has to have lines."""
    with pytest.raises(TaskError, match="make the parts larger"):
        await parts(context, files, "x\n" * (MAX_PARTS + 1), rows=1)
    (context.scratch / "parts").rename(context.scratch / "other")
    with pytest.raises(TaskError, match="is it a file of lines at all"):
        await parts(context, files, "x" * (MAX_LINE + 1), rows=1)


@pytest.mark.parametrize(("pattern", "reason"), [("(", "not a regular expression"), ("a", "has no group")])
async def test_wrong_patterns(context, files, pattern, reason):
    """A pattern that cannot group lines is an error with its remedy."""
    with pytest.raises(TaskError, match=reason):
        await parts(context, files, "a\n", regexPattern=pattern)


@pytest.mark.parametrize("way", [{}, {"rows": 0}, {"partitions": -1}, {"bytes": "many"}])
def test_refused(way):
    """A flow that does not say how to split, or says it wrongly, is not accepted."""
    with pytest.raises(ValidationError):
        spec("kestra:///x", **way)
