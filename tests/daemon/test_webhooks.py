"""Webhooks, called without a listener in between; and what a request's body is taken for."""

import json
from dataclasses import dataclass, field

import pytest
from workshop.duties import Office

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.web.webhook import body_of
from tidewaiter.daemon.webhooks import Answer, Call, Webhooks


@dataclass
class Bench:
    office: Office
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        office = self.office
        self.webhooks = Webhooks(office.journal, office.starter, office.launch, listening=True)

    async def serve(self, *triggers: str) -> None:
        await self.webhooks.serve(
            self.office.duties("".join(f"- {{type: trigger.Webhook, {text}}}\n" for text in triggers))
        )

    async def call(self, key: str, body: object = None) -> Answer:
        return await self.webhooks.answer("harbour.tide", key, Call(body, {"X-Berth": ["7"]}, {"a": ["1"]}))


@pytest.fixture
def bench(journal: Journal, expressions: Expressions) -> Bench:
    return Bench(Office(journal, expressions))


async def test_the_answer_is_the_execution(bench: Bench) -> None:
    """It is in the journal by then, with all it was called with."""
    await bench.serve("id: w, key: k, inputs: {ship: '{{ trigger.body.ship }}'}")
    answer = await bench.call("k", {"ship": "Ada"})
    [execution] = await bench.office.executions()
    assert (answer.status, json.loads(answer.text or "")["id"]) == (200, execution.id)
    assert execution.variables == {"body": {"ship": "Ada"}, "headers": {"X-Berth": ["7"]}, "parameters": {"a": ["1"]}}
    assert execution.inputs == {"ship": "Ada"}
    assert bench.office.launched == 1


async def test_each_call_is_one_execution(bench: Bench) -> None:
    """Nobody can know whether two calls mean the same."""
    await bench.serve("id: w, key: k")
    for _ in range(3):
        await bench.call("k")
    assert len(await bench.office.executions()) == 3


async def test_keys_may_be_secrets(bench: Bench) -> None:
    """And each trigger of a flow has its own."""
    await bench.serve("id: a, key: \"{{ secret('HOOK') }}\"", "id: b, key: other")
    for key in ("s3same", "other", "{{ secret('HOOK') }}", ""):
        await bench.call(key)
    assert [execution.trigger_id for execution in await bench.office.executions()] == ["a", "b"]


async def test_a_key_that_is_not_there_is_reported(bench: Bench) -> None:
    """Nobody can call that webhook, least of all with an empty key."""
    await bench.serve("id: w, key: \"{{ secret('MISSING') }}\"")
    assert (await bench.call("")).status == 404
    statuses = await bench.office.journal.triggers.statuses()
    assert "MISSING" in (statuses["harbour/tide/w"].message or "")
    assert len(bench.webhooks.troubles) == 1


async def test_a_paused_webhook_says_so_to_those_who_know_its_key(bench: Bench) -> None:
    """To others there is none."""
    await bench.serve("id: w, key: k")
    [key] = bench.webhooks._served
    await bench.office.journal.triggers.pause(key, paused=True)
    assert [(await bench.call(text)).status for text in ("k", "x")] == [409, 404]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", None),
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b"[1, 2]", [1, 2]),
        (b"3", "3"),
        (b'"text"', '"text"'),
        (b"a=1&b=2", "a=1&b=2"),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b'{"a": "\\ud800"}', '{"a": "\\ud800"}'),
        (b"\xff\xfe", "//4="),
        ("tide: ü".encode(), "tide: ü"),
        (b'{"n": ' + b"9" * 5000 + b"}", '{"n": ' + "9" * 5000 + "}"),
    ],
    ids=range(11),
)
def test_what_a_body_is_taken_for(content: bytes, expected: object) -> None:
    """A map or a list in JSON, else text, else base64; nothing that could not be shown again."""
    assert body_of(content) == expected


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_body_nested_too_deeply_is_text(depth: int) -> None:
    """No flow may nest that deeply either."""
    content = b"[" * depth + b"]" * depth
    assert body_of(content) == content.decode()
