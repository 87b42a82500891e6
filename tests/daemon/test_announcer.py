"""Flow triggers, told of executions that end without a daemon around them."""

from dataclasses import dataclass, field

import pytest
from workshop.duties import Office

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.announcer import DEEPEST, Announcer
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Execution

CONDITION = "io.kestra.plugin.core.condition"


@dataclass
class Bench:
    office: Office
    announcer: Announcer = field(init=False)

    def __post_init__(self) -> None:
        self.announcer = Announcer(self.office.journal, self.office.starter, self.office.launch)

    async def serve(self, properties: str) -> None:
        """Serve one Flow trigger with these properties."""
        await self.announcer.serve(self.office.duties(f"- {{id: f, type: trigger.Flow, {properties}}}"))

    async def after(self, *flows: str, state: str = "SUCCESS", **launch: object) -> list[Execution]:
        """Let executions of *flows* end and be announced; gives what has followed so far."""
        for flow_id in flows:
            await self.office.ended(flow_id, state, **launch)
            await self.announcer.step()
        return await self.office.executions()


@pytest.fixture
def bench(journal: Journal, expressions: Expressions) -> Bench:
    return Bench(Office(journal, expressions))


async def test_what_follows_knows_what_went_before(bench: Bench) -> None:
    """Its trigger shows the execution, and its inputs may use it."""
    await bench.serve("inputs: {n: '{{ trigger.outputs.n }} {{ labels.team }}'}, labels: {of: '{{ trigger.flowId }}'}")
    [execution] = await bench.after("ebb", outputs={"n": 1}, labels={"team": "quay"})
    variables = execution.variables or {}
    assert (variables["flowId"], variables["state"], variables["outputs"]) == ("ebb", "SUCCESS", {"n": 1})
    assert (execution.inputs, execution.labels) == ({"n": "1 quay"}, {"of": "ebb"})
    assert execution.started_by == ("harbour", "ebb", variables["executionId"])
    assert bench.office.launched == 1


async def test_an_execution_is_announced_once(bench: Bench) -> None:
    """However often the announcer looks, and though it begins anew."""
    await bench.serve("states: [SUCCESS]")
    await bench.after("ebb")
    bench.announcer = Announcer(bench.office.journal, bench.office.starter, bench.office.launch)
    await bench.serve("states: [SUCCESS]")
    await bench.announcer.step()
    assert len(await bench.office.executions()) == 1


async def test_nothing_is_told_that_ended_while_nobody_listened(bench: Bench) -> None:
    """A new Flow trigger begins with what ends from now on."""
    await bench.after("ebb")
    await bench.serve("states: [SUCCESS]")
    assert await bench.after() == []
    assert len(await bench.after("ebb")) == 1


async def test_it_is_not_told_of_its_own_flow(bench: Bench) -> None:
    """Else it would never end."""
    await bench.serve("states: [SUCCESS]")
    assert len(await bench.after("tide")) == 1


@pytest.mark.parametrize(
    "properties",
    [
        "states: [SUCCESS]",
        f"conditions: [{{type: {CONDITION}.ExecutionStatus, in: [SUCCESS]}}]",
        f"conditions: [{{type: {CONDITION}.Expression, expression: \"{{{{ execution.state == 'SUCCESS' }}}}\"}}]",
        "preconditions: {id: p, flows: [{namespace: harbour, flowId: ebb, states: [SUCCESS]}]}",
        "preconditions: {id: p, where: [{id: w, filters: [{field: STATE, type: IN, values: [SUCCESS]}]}]}",
        "dependsOn: [{flowId: ebb, states: [SUCCESS]}]",
        "when: \"{{ trigger.state == 'SUCCESS' }}\"",
    ],
)
async def test_every_way_to_say_which(bench: Bench, properties: str) -> None:
    """After the execution that is meant there is another, after one that failed there is none."""
    await bench.serve(properties)
    assert await bench.after("ebb", state="FAILED") == []
    assert len(await bench.after("ebb")) == 1


_A, _B = (f"{{type: {CONDITION}.ExecutionFlow, namespace: harbour, flowId: {flow}}}" for flow in ("ebb", "flood"))
_MULTIPLE = f"{{id: m, type: {CONDITION}.MultipleCondition, window: P1D, conditions: {{a: {_A}, b: {_B}}}}}"
BOTH = [
    "preconditions: {id: p, flows: [{namespace: harbour, flowId: ebb}, {namespace: harbour, flowId: flood}]}",
    "dependsOn: [{flowId: ebb}, {flowId: flood}]",
    f"conditions: [{_MULTIPLE}]",
]


@pytest.mark.parametrize("properties", BOTH)
async def test_several_executions_are_waited_for(bench: Bench, properties: str) -> None:
    """One of each, in any order; then anew. Outputs of all are shown."""
    await bench.serve(properties)
    assert await bench.after("ebb", "ebb", outputs={"a": 1}) == []
    [first] = await bench.after("flood", outputs={"b": 2})
    assert (first.variables or {})["outputs"] == {"a": 1, "b": 2}
    assert len(await bench.after("flood")) == 1
    assert len(await bench.after("ebb")) == 2


async def test_without_a_reset_what_was_true_stays_so(bench: Bench) -> None:
    """Within the window, each further execution starts another."""
    await bench.serve(BOTH[0].replace("id: p,", "id: p, resetOnSuccess: false,"))
    assert len(await bench.after("ebb", "flood", "flood")) == 2


async def test_enough_is_enough(bench: Bench) -> None:
    """With a mode, some of several will do."""
    await bench.serve("dependsOn: [{flowId: a}, {flowId: b}, {flowId: c}], mode: AT_LEAST, minSatisfied: 2")
    assert await bench.after("a") == []
    assert len(await bench.after("c")) == 1


async def test_what_fell_out_of_the_window_does_not_count(bench: Bench) -> None:
    """A sliding window of a moment is over before the second execution ends."""
    await bench.serve(BOTH[0].replace("id: p,", "id: p, timeWindow: {type: SLIDING_WINDOW, window: PT0.000001S},"))
    assert await bench.after("ebb", "flood") == []


async def test_what_cannot_be_told_is_reported_and_keeps_nobody_else(bench: Bench) -> None:
    """The other trigger of the flow starts its execution; this one says what is wrong."""
    duties = bench.office.duties(
        "- {id: bad, type: trigger.Flow, inputs: {n: '{{ outputs.none.n }}'}}\n- {id: good, type: trigger.Flow}\n"
    )
    await bench.announcer.serve(duties)
    [execution] = await bench.after("ebb")
    statuses = await bench.office.journal.triggers.statuses()
    assert execution.trigger_id == "good"
    assert "inputs.n" in (statuses["harbour/tide/bad"].message or "")
    assert not await bench.office.journal.announcements.pending(1)


async def test_a_paused_trigger_is_told_nothing(bench: Bench) -> None:
    """What ends meanwhile is not made up for."""
    await bench.serve("states: [SUCCESS]")
    key = next(iter(bench.announcer._served))
    await bench.office.journal.triggers.pause(key, paused=True)
    assert await bench.after("ebb") == []
    await bench.office.journal.triggers.pause(key, paused=False)
    assert len(await bench.after("ebb")) == 1


async def test_a_chain_has_an_end(bench: Bench) -> None:
    """Two flows that start each other do so a number of times, and not for ever."""
    ping, pong = (bench.office.duties("- {id: f, type: trigger.Flow}", flow_id) for flow_id in ("ping", "pong"))
    await bench.announcer.serve([*ping, *pong])
    await bench.office.ended("ping")
    for _ in range(DEEPEST + 5):
        await bench.announcer.step()
        for execution in await bench.office.journal.executions.newest(state="CREATED"):
            await bench.office.journal.executions.end(execution.id, execution.state.__class__("SUCCESS"))
    assert len(await bench.office.journal.executions.newest(limit=1000)) == DEEPEST + 1
    statuses = await bench.office.journal.triggers.statuses()
    assert {status.cause for status in statuses.values()} == {None, "TriggerLoop"}
