"""The tasks that only say something."""

import pytest
from pydantic import ValidationError

from tidewaiter.config.spec import concrete
from tidewaiter.tasks.context import Result
from tidewaiter.tasks.log import Echo, Log, Return, run_echo, run_log, run_return


@pytest.mark.parametrize(
    ("message", "expected"),
    [("hello", ["hello"]), (["a", "b"], ["a", "b"]), (3, ["3"]), ("[1]", ["[1]"])],
)
async def test_log(context, log, message, expected):
    """Each message is one record, at INFO unless said otherwise."""
    assert await run_log(Log(id="t", type="log.Log", message=message), context) == Result()
    assert log.at("INFO") == expected


async def test_log_level(context, log):
    """The level may be an expression."""
    spec = concrete(Log(id="t", type="log.Log", message="m", level="{{ l }}"), lambda _: "WARN")
    await run_log(spec, context)

    assert log.records == [("WARN", "m")]


def test_unknown_level():
    """A level that does not exist is an error of the flow."""
    with pytest.raises(ValidationError):
        Log(id="t", type="log.Log", message="m", level="LOUD")


@pytest.mark.parametrize(("format_", "value"), [("x", "x"), (1, "1"), (None, None)])
async def test_return(context, format_, value):
    """The format is the output."""
    assert (await run_return(Return(id="t", type="debug.Return", format=format_), context)).outputs == {"value": value}


async def test_echo(context, log):
    """The format is logged at the level."""
    await run_echo(Echo(id="t", type="debug.Echo", format="x", level="ERROR"), context)

    assert log.records == [("ERROR", "x")]
