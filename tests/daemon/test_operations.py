"""Requests of the API: one table of paths, JSON in and out."""

from typing import Any

import pytest
from workshop.builders import TRIGGER, Intake

from tidewaiter import __version__
from tidewaiter.daemon.control import Control, NotFoundError, NotPossibleError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.operations import ROUTES, BadRequestError, Operations
from tidewaiter.daemon.records import LogLine, TriggerKey


class Api:
    def __init__(self, operations: Operations) -> None:
        self.operations = operations

    async def get(self, path: str, **query: str) -> Any:
        return await self.operations.answer("GET", f"/api/v1/{path}", query)

    async def post(self, path: str) -> Any:
        return await self.operations.answer("POST", f"/api/v1/{path}", {})


@pytest.fixture
def api(journal: Journal) -> Api:
    async def facts() -> dict[TriggerKey, dict[str, Any]]:
        return {key: {"state": "OK"} for key in (TRIGGER, TriggerKey("a", "same", "t"), TriggerKey("b", "same", "t"))}

    return Api(Operations(journal, Control(journal), facts, daemon=False))


async def test_status(api: Api, intake: Intake) -> None:
    """Version, whether a daemon answers, and counts."""
    await intake.deliver("a")
    assert await api.get("status") == {"version": __version__, "daemon": False, "executions": {"CREATED": 1}}


async def test_executions_can_be_chosen(api: Api, intake: Intake) -> None:
    """By state, flow and number; anything else in the query is ignored."""
    made = [await intake.deliver(key) for key in "abc"]
    assert [e["id"] for e in await api.get("executions", limit="2")] == [made[2].id, made[1].id]
    assert await api.get("executions", state="FAILED") == []
    assert len(await api.get("executions", flow="demo.orders", colour="red")) == 3


@pytest.mark.parametrize("limit", ["many", "-1", "1.5", "", "١x"])
async def test_a_limit_is_a_number(api: Api, limit: str) -> None:
    """The answer quotes what is none."""
    with pytest.raises(BadRequestError, match="'limit' must be a number"):
        await api.get("executions", limit=limit)


async def test_one_execution_and_its_log(api: Api, intake: Intake, journal: Journal) -> None:
    """By as much of its id as is unique; of the log what comes after a line."""
    execution = await intake.deliver("a")
    for number in range(3):
        journal.logs.append(LogLine(execution.id, "t", 1, "now", "INFO", str(number)))
    await journal.logs.flush()
    assert (await api.get(f"executions/{execution.id[:9]}"))["id"] == execution.id
    assert [line["message"] for line in await api.get(f"executions/{execution.id}/logs", after="1")] == ["1", "2"]


@pytest.mark.parametrize("name", ["nope", "ABC", "..", "%"])
async def test_an_execution_nobody_knows_is_named(api: Api, name: str) -> None:
    """Whatever was typed, the answer speaks of executions."""
    with pytest.raises(NotFoundError, match="there is no execution '"):
        await api.get(f"executions/{name}")


async def test_kill_and_replay(api: Api, intake: Intake, journal: Journal) -> None:
    """Both answer with the execution they are about."""
    execution = await intake.deliver("a")
    assert (await api.post(f"executions/{execution.id}/kill"))["id"] == execution.id
    with pytest.raises(NotPossibleError):
        await api.post(f"executions/{execution.id}/replay")


async def test_triggers_are_listed_in_order(api: Api, intake: Intake) -> None:
    """With what they have in hand."""
    await intake.claim("x")
    shown = await api.get("triggers")
    assert [view["name"] for view in shown] == ["a/same/t", "b/same/t", str(TRIGGER)]
    assert shown[2]["detections"] == {"CLAIMED": 1}


@pytest.mark.parametrize("name", [str(TRIGGER), "orders/arrival", "demo.orders/arrival"])
async def test_a_trigger_is_paused_and_resumed_by_any_of_its_names(api: Api, journal: Journal, name: str) -> None:
    """The answer has its full name."""
    assert await api.post(f"triggers/{name}/pause") == {"trigger": str(TRIGGER), "done": "pause"}
    assert (await journal.detections.standing(TRIGGER)).paused
    assert await api.post(f"triggers/{name}/resume") == {"trigger": str(TRIGGER), "done": "resume"}


@pytest.mark.parametrize(
    ("name", "reason"), [("nope/t", "there is no trigger"), ("same/t", "several triggers are called")]
)
async def test_a_name_that_does_not_mean_one_trigger(api: Api, name: str, reason: str) -> None:
    """The hint says how to name it."""
    with pytest.raises(NotFoundError, match=reason) as caught:
        await api.post(f"triggers/{name}/pause")
    assert "namespace/flow/trigger" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/v1/nope"),
        ("DELETE", "/api/v1/executions/x"),
        ("GET", "/api/v1/executions/x/kill"),
        ("POST", "/api/v1/executions/x"),
    ],
)
async def test_what_is_not_there(api: Api, method: str, path: str) -> None:
    """Another path or method is nothing; reading never changes anything."""
    with pytest.raises(NotFoundError, match="there is nothing at"):
        await api.operations.answer(method, path, {})


def test_reading_is_get_and_changing_is_post() -> None:
    """No link that somebody follows changes anything."""
    changing = {"kill", "replay", "resume", "retry_object", "start", "trigger_request"}
    assert {handler.__name__ in changing for method, _, handler in ROUTES if method == "POST"} == {True}
    assert {handler.__name__ in changing for method, _, handler in ROUTES if method == "GET"} == {False}


async def test_a_flow_is_run_by_hand(api: Api) -> None:
    """By its name, with inputs; a name nobody has says which there are."""
    await api.operations.journal.triggers.register("demo", "f", "id: f\nnamespace: demo\ntasks: []\n")
    made = await api.operations.answer("POST", "/api/v1/executions", {"flow": "f", "inputs": '{"n": "1"}'})
    assert (made["flowId"], made["inputs"], made["state"]) == ("f", {"n": "1"}, "CREATED")
    with pytest.raises(NotFoundError, match="there is no flow 'g'") as caught:
        await api.operations.answer("POST", "/api/v1/executions", {"flow": "g"})
    assert caught.value.hint == "flows in service: demo.f"


@pytest.mark.parametrize("inputs", ["[]", "{"])
async def test_inputs_are_a_map(api: Api, inputs: str) -> None:
    """As JSON."""
    with pytest.raises(BadRequestError, match="'inputs' must be"):
        await api.operations.answer("POST", "/api/v1/executions", {"flow": "f", "inputs": inputs})
