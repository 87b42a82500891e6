"""The tasks on single files of internal storage."""

import pytest

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.lines import MAX_LINE
from tidewaiter.tasks.storage import (
    Concat,
    Delete,
    Reverse,
    Size,
    Write,
    run_concat,
    run_delete,
    run_reverse,
    run_size,
    run_write,
)


def reverse(uri, **properties):
    return Reverse(id="t", type="storage.Reverse", **{"from": uri}, **properties)


class TestWrite:
    async def test_content(self, context, files):
        """The text becomes a file with the extension that was asked for."""
        spec = Write(id="t", type="storage.Write", content="Größe\n", extension=".txt")
        uri = (await run_write(spec, context)).outputs["uri"]

        assert (files.text(uri), uri.endswith(".txt")) == ("Größe\n", True)

    async def test_an_extension_is_no_way_out(self, context, files):
        """A path in the extension is only a name."""
        spec = Write(id="t", type="storage.Write", content="x", extension="/../../x.sh")

        assert files.text((await run_write(spec, context)).outputs["uri"]) == "x"


class TestConcat:
    @pytest.mark.parametrize(("separator", "expected"), [(None, "ab"), ("\n", "a\nb\n")])
    async def test_order(self, context, files, separator, expected):
        """Files follow each other as listed, the separator after each."""
        given = {"separator": separator} if separator else {}
        spec = Concat(id="t", type="storage.Concat", files=[files.put("a"), files.put("b")], **given)
        uri = (await run_concat(spec, context)).outputs["uri"]

        assert (files.text(uri), uri.endswith(".tmp")) == (expected, True)

    async def test_json(self, context, files):
        """The list may be JSON text, as an expression renders it."""
        spec = Concat(id="t", type="storage.Concat", files=f'["{files.put("a")}"]', extension=".csv")
        uri = (await run_concat(spec, context)).outputs["uri"]

        assert (files.text(uri), uri.endswith(".csv")) == ("a", True)

    async def test_missing_file(self, context):
        """A file that is not there fails the task before anything is written."""
        with pytest.raises(TaskError, match="kestra:///nothing"):
            await run_concat(Concat(id="t", type="storage.Concat", files=["kestra:///nothing"]), context)


async def test_size(context, files):
    """The length is in bytes."""
    spec = Size(id="t", type="storage.Size", uri=files.put("Größe"))

    assert (await run_size(spec, context)).outputs == {"size": 7}


class TestDelete:
    async def test_twice(self, context, files):
        """The first time the file was there, the second time it is no error unless it is to be."""
        uri = files.put("x")
        spec = Delete(id="t", type="storage.Delete", uri=uri)
        strict = Delete(id="t", type="storage.Delete", uri=uri, errorOnMissing=True)

        assert (await run_delete(spec, context)).outputs == {"uri": uri, "deleted": True}
        assert (await run_delete(spec, context)).outputs["deleted"] is False
        with pytest.raises(TaskError, match="errorOnMissing"):
            await run_delete(strict, context)


class TestReverse:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("1\n2\n3\n", "3\n2\n1\n"),
            ("1\r\n2", "2\n1\n"),
            ("\n\nx\n", "x\n\n\n"),
            ("", ""),
            ("\n", "\n"),
            ("one", "one\n"),
        ],
    )
    async def test_lines(self, context, files, content, expected):
        """Lines come in the opposite order, each with its end; the extension stays."""
        uri = (await run_reverse(reverse(files.put(content, "a.yml")), context)).outputs["uri"]

        assert (files.text(uri), uri.endswith(".yml")) == (expected, True)

    async def test_longer_than_a_block(self, context, files):
        """Lines across the blocks in which a file is read stay whole."""
        lines = [f"{number}:{'x' * (number % 97)}" for number in range(40_000)]
        uri = (await run_reverse(reverse(files.put("\n".join(lines) + "\n")), context)).outputs["uri"]

        assert files.text(uri).splitlines() == lines[::-1]

    async def test_separator_and_charset(self, context, files):
        """What follows a line can be chosen; a charset whose line end is no single byte cannot be reversed."""
        uri = (await run_reverse(reverse(files.put("1\n2\n"), separator=";"), context)).outputs["uri"]

        assert files.text(uri) == "2;1;"
        for charset in ("UTF-16", "no such"):
            with pytest.raises(TaskError, match="charset"):
                await run_reverse(reverse(files.put("1\n"), charset=charset), context)

    async def test_endless_line(self, context, files):
        """A file that is no text of lines does not fill the memory."""
        uri = files.put("")
        with files.path(uri).open("wb") as file:
            file.truncate(MAX_LINE + 2)
        with pytest.raises(TaskError, match="is it a file of lines at all"):
            await run_reverse(reverse(uri), context)
