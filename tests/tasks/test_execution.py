"""The tasks that judge, name or delay their execution."""

import asyncio
import time
from datetime import timedelta

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.config.spec import concrete
from tidewaiter.tasks.context import Result
from tidewaiter.tasks.execution import Assert, Fail, Labels, Sleep, run_assert, run_fail, run_labels, run_sleep
from tidewaiter.tasks.log import OutputValues, run_output_values


def fail(**properties):
    return Fail(id="t", type="execution.Fail", **properties)


def labels(value):
    return Labels(id="t", type="execution.Labels", labels=value)


class TestFail:
    async def test_without_a_condition(self, context):
        """It always fails, with its message or with Kestra's."""
        assert await run_fail(fail(), context) == Result("FAILED", error="Task failure")
        assert (await run_fail(fail(errorMessage="no rows"), context)).error == "no rows"

    @pytest.mark.parametrize(
        ("condition", "state"),
        [
            ("true", "FAILED"),
            ("x", "FAILED"),
            ("false", "SUCCESS"),
            ("0", "SUCCESS"),
            ("-0", "SUCCESS"),
            ("", "SUCCESS"),
        ],
    )
    async def test_on_a_condition(self, context, condition, state):
        """It fails when the condition holds as text."""
        assert (await run_fail(fail(condition=condition), context)).state == state


class TestAssert:
    async def test_all_hold(self, context):
        """Then the task succeeds and says nothing."""
        spec = Assert(id="t", type="execution.Assert", conditions=["{{ 1 + 1 == 2 }}", "yes"])

        assert await run_assert(spec, context) == Result()

    async def test_some_do_not_hold(self, context, values, log):
        """The failure counts them, the log names each as it was written, and the message is added."""
        values.variables["inputs"] = {"n": 3}
        written = ["{{ inputs.n == 3 }}", "{{ inputs.n == 4 }}", "{{ inputs.missing == 1 }}"]
        spec = concrete(
            Assert(id="t", type="execution.Assert", conditions=written, errorMessage="{{ why }}"), lambda _: "bad rows"
        )
        result = await run_assert(spec, context)

        assert (result.state, result.error) == ("FAILED", "2 assertions failed: bad rows")
        assert [part in message for part, message in zip(written[1:], log.at("ERROR"), strict=True)] == [True, True]

    def test_without_conditions(self):
        """An assertion of nothing is a mistake of the flow."""
        with pytest.raises(ValidationError):
            Assert(id="t", type="execution.Assert", conditions=[])


class TestLabels:
    @pytest.mark.parametrize(
        "written",
        [
            {"team": "harbour", "n": 3},
            [{"key": "team", "value": "harbour"}, {"key": "n", "value": 3}],
            '{"team": "harbour", "n": 3}',
        ],
    )
    async def test_forms(self, context, written):
        """A map, a list of pairs and JSON text say the same."""
        assert (await run_labels(labels(written), context)).labels == {"team": "harbour", "n": "3"}

    async def test_later_ones_win(self, context):
        """Of two labels with one name the later counts; what is no text is written as JSON."""
        written = [{"key": "a", "value": "1"}, {"key": "a", "value": {"b": True}}]

        assert (await run_labels(labels(written), context)).labels == {"a": '{"b":true}'}

    @pytest.mark.parametrize("written", [{"a": None}, {"a": ""}, {"": "x"}, {"system.user": "x"}, [{"value": "x"}]])
    async def test_refused(self, context, written):
        """A label without name or value, or with a reserved name, fails the task."""
        with pytest.raises(TaskError, match="label"):
            await run_labels(labels(written), context)


async def test_sleep(context):
    """It waits for its duration and can be interrupted."""
    start = time.monotonic()
    assert await run_sleep(Sleep(id="t", type="flow.Sleep", duration="PT0.05S"), context) == Result()
    assert time.monotonic() - start >= 0.05
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_sleep(Sleep(id="t", type="flow.Sleep", duration=timedelta(hours=1)), context)


async def test_output_values(context):
    """Rendered values are the outputs, in the shape they were written in."""
    spec = OutputValues(id="t", type="output.OutputValues", values={"a": "{{ x }}", "b": [1, "{{ x }}"]})

    outputs = (await run_output_values(concrete(spec, lambda _: "r"), context)).outputs
    assert outputs == {"values": {"a": "r", "b": [1, "r"]}}
