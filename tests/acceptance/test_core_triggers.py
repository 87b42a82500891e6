"""Schedules, webhooks and flows after flows, in a daemon of their own."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from acceptance.driver import Daemon, user_environment

LOG = "io.kestra.plugin.core.log.Log"
SECONDLY = {"id": "tick", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "* * * * * *", "withSeconds": True}

HOOK = {"id": "hook", "type": "io.kestra.plugin.core.trigger.Webhook", "key": "k"}


def flow(identifier: str, *triggers: dict[str, Any], **more: Any) -> dict[str, Any]:
    tasks = [{"id": "say", "type": LOG, "message": "{{ trigger ?? 'by hand' }}"}]
    return {"id": identifier, "namespace": "harbour", "tasks": tasks, "triggers": list(triggers), **more}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon that watches no bucket."""
    environment = user_environment(tmp_path, "http://127.0.0.1:9", "key", "secret")
    daemon = Daemon(tmp_path / "daemon", environment)
    yield daemon
    daemon.close()


@pytest.fixture
def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _request(url: str, body: bytes | None, method: str, headers: dict[str, str]) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text.decode()


async def call(address: str, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    url = f"http://{address}/api/v1/executions/webhook/{path}"
    return await asyncio.to_thread(
        _request, url, data, method, {name.replace("_", "-"): text for name, text in headers.items()}
    )


def dates(executions: list[dict[str, Any]]) -> list[str]:
    return [item["trigger"]["variables"]["date"] for item in executions]


async def test_a_schedule_starts_an_execution_at_each_date(daemon: Daemon) -> None:
    """One for each second, in order, with what the trigger shows."""
    daemon.add_flow(flow("ticking", SECONDLY | {"inputs": {"at": "{{ trigger.date }}"}}, inputs=[{"id": "at"}]))
    daemon.start()
    await daemon.ready()

    found = await daemon.until_ended(3)

    seconds = [datetime.fromisoformat(text).timestamp() for text in dates(found)]
    assert seconds == [seconds[0] + number for number in range(len(seconds))]
    assert found[0]["trigger"]["variables"]["next"] == dates(found)[1]


async def test_no_date_is_lost_or_doubled_by_kills(daemon: Daemon) -> None:
    """Killed again and again, a schedule for every second has one execution for each, in the end."""
    daemon.add_flow(flow("ticking", SECONDLY))
    for _ in range(4):
        daemon.start()
        await daemon.until(lambda: daemon.logged("schedule_due"), "a date to come")
        daemon.kill()
    daemon.start()
    await daemon.until(lambda: daemon.logged("schedule_due"), "a date to come")

    found = dates(await daemon.until_ended(5))

    seconds = sorted(int(datetime.fromisoformat(text).timestamp()) for text in found)
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))


async def test_missed_dates_are_left_out_when_told_so(daemon: Daemon) -> None:
    """With ``recoverMissedSchedules: NONE`` nothing is made up for."""
    daemon.add_flow(flow("ticking", SECONDLY | {"recoverMissedSchedules": "NONE"}))
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    daemon.kill()
    before = dates(await _offline(daemon))
    await asyncio.sleep(2.5)  # the time that is missed
    daemon.start()
    await daemon.ready()

    found = dates(await daemon.until_ended(len(before) + 1))

    gap = datetime.fromisoformat(found[len(before)]) - datetime.fromisoformat(before[-1])
    assert gap.total_seconds() >= 2
    assert daemon.logged("dates_left_out")


async def _offline(daemon: Daemon) -> list[dict[str, Any]]:
    listed = await daemon.call("executions", "list", "--json", "--limit", "1000")
    found: list[dict[str, Any]] = json.loads(listed.stdout)
    return found[::-1]


async def test_a_webhook_starts_an_execution_with_what_it_was_sent(daemon: Daemon, address: str) -> None:
    """Body, headers and parameters are in ``trigger``; the answer is the execution, which is on the disk by then."""
    daemon.add_flow(
        flow("called", {"id": "hook", "type": "io.kestra.plugin.core.trigger.Webhook", "key": "s3same-0pen"})
    )
    daemon.start("--listen", address)
    await daemon.ready()

    status, answer = await call(address, "harbour/called/s3same-0pen?a=1&a=2", {"ship": "Ada"}, X_Berth="7")
    daemon.kill()
    daemon.start()
    await daemon.ready()
    [found] = await daemon.until_ended(1)

    assert status == 200
    assert found["id"] == answer["id"]
    shown = found["trigger"]["variables"]
    assert shown["body"] == {"ship": "Ada"}
    assert shown["parameters"] == {"a": ["1", "2"]}
    assert shown["headers"]["X-Berth"] == ["7"]
    assert "Ada" in await daemon.task_log(found["id"])


async def test_a_webhook_tells_nothing_to_those_without_its_key(daemon: Daemon, address: str) -> None:
    """A wrong key, another flow and no flow at all look the same, and start nothing."""
    daemon.add_flow(
        flow("called", {"id": "hook", "type": "io.kestra.plugin.core.trigger.Webhook", "key": "s3same-0pen"})
    )
    daemon.start("--listen", address)
    await daemon.ready()

    answers = [await call(address, path) for path in ("harbour/called/s3same", "harbour/other/s3same-0pen", "x/y/z")]

    assert answers == [(404, {"error": "there is no such webhook"})] * 3
    assert await daemon.executions() == []


async def test_a_webhook_can_wait_for_the_outputs(daemon: Daemon, address: str) -> None:
    """With ``wait`` and ``returnOutputs``, the caller gets what the flow makes of the request."""
    hook = {
        "id": "hook",
        "type": "io.kestra.plugin.core.trigger.Webhook",
        "key": "k",
        "wait": True,
        "returnOutputs": True,
    }
    outputs = [{"id": "echo", "value": "{{ trigger.body.ship }} has come in"}]
    daemon.add_flow(flow("called", hook, outputs=outputs))
    daemon.start("--listen", address)
    await daemon.ready()

    assert await call(address, "harbour/called/k", {"ship": "Ada"}) == (200, {"echo": "Ada has come in"})


async def test_what_a_webhook_does_not_want_is_refused(daemon: Daemon, address: str) -> None:
    """A false condition, an input that fails, a body too large: each has its status, and starts nothing."""
    hook = {
        "id": "hook",
        "type": "io.kestra.plugin.core.trigger.Webhook",
        "key": "k",
        "when": "{{ trigger.body.go }}",
        "inputs": {"ship": "{{ trigger.body.ship }}"},
    }
    daemon.environment["TIDEWAITER_LIMITS__WEBHOOK_BODY"] = "10 KB"
    daemon.add_flow(flow("called", hook, inputs=[{"id": "ship"}]))
    daemon.start("--listen", address)
    await daemon.ready()

    statuses = [
        (await call(address, "harbour/called/k", body))[0]
        for body in ({"go": False}, {"go": True}, b"x" * 20_000, {"go": True, "ship": "Ada"})
    ]

    assert statuses == [204, 422, 413, 200]
    assert len(await daemon.until_ended(1)) == 1


async def test_a_webhook_without_a_listener_says_so(daemon: Daemon) -> None:
    """It is in the log and in the list of triggers."""
    daemon.add_flow(flow("called", HOOK))
    daemon.start()
    await daemon.ready()

    listed = await daemon.call("triggers", "list")

    assert daemon.logged("webhook_unreachable")
    assert "--listen HOST:PORT" in listed.stdout


async def test_a_flow_starts_after_another(daemon: Daemon, address: str) -> None:
    """A chain of three runs to its end, each with the outputs of the one before."""
    after = {"id": "after", "type": "io.kestra.plugin.core.trigger.Flow", "states": ["SUCCESS"]}
    daemon.add_flow(flow("first", HOOK, outputs=[{"id": "n", "value": "1"}]), "1.yaml")
    for number, before in ((2, "first"), (3, "second")):
        wanted = {"id": "one", "flows": [{"namespace": "harbour", "flowId": before}]}
        listening = {**after, "preconditions": wanted}
        body = flow(
            ("second", "third")[number - 2],
            listening,
            outputs=[{"id": "n", "value": "{{ trigger.outputs.n }}+1"}],
        )
        daemon.add_flow(body, f"{number}.yaml")
    daemon.start("--listen", address)
    await daemon.ready()
    await call(address, "harbour/first/k")

    found = await daemon.until_ended(3)

    assert [item["flowId"] for item in found] == ["first", "second", "third"]
    assert (await daemon.ask(f"executions/{found[2]['id']}"))["outputs"] == {"n": "1+1+1"}


async def test_flows_that_start_each_other_come_to_an_end(daemon: Daemon, address: str) -> None:
    """Two flows, each after every other: the chain ends at its limit, and the trigger says why."""
    after = {"id": "after", "type": "io.kestra.plugin.core.trigger.Flow"}
    daemon.add_flow(flow("ping", after, HOOK), "ping.yaml")
    daemon.add_flow(flow("pong", after), "pong.yaml")
    daemon.start("--listen", address)
    await daemon.ready()
    await call(address, "harbour/ping/k")

    found = await daemon.until_ended(26, seconds=60)
    await daemon.until(lambda: daemon.logged("trigger_failing"), "the trigger to say so")

    assert len(found) == 26
    assert "have led to each other" in (await daemon.call("triggers", "list")).stdout


async def test_stop_after_pauses_the_trigger(daemon: Daemon) -> None:
    """A schedule whose execution fails starts no other until it is resumed."""
    tasks = [{"id": "fail", "type": LOG, "message": "{{ nothing.here }}"}]
    daemon.add_flow(flow("failing", SECONDLY | {"stopAfter": ["FAILED"]}, tasks=tasks))
    daemon.start()
    await daemon.ready()
    [first] = await daemon.until_ended(1)
    [trigger] = await daemon.ask("triggers")

    assert trigger["state"] == "PAUSED"
    assert first["id"] in trigger["problem"]["message"]
    await daemon.call("triggers", "resume", "failing/tick")
    found = await daemon.until_ended(2)
    assert len(found) >= 2


async def test_once_carries_out_what_follows(daemon: Daemon) -> None:
    """``run --once`` makes up for missed dates and runs the flows after them, but waits for no date to come."""
    daemon.add_flow(flow("ticking", SECONDLY | {"recoverMissedSchedules": "LAST"}), "1.yaml")
    daemon.add_flow(flow("after", {"id": "after", "type": "io.kestra.plugin.core.trigger.Flow"}), "2.yaml")
    assert await daemon.once() == 0
    await asyncio.sleep(1.1)  # for a date to be missed

    assert await daemon.once() == 0

    flows = [item["flowId"] for item in await _offline(daemon)]
    assert flows.count("ticking") >= 1
    assert flows.count("ticking") == flows.count("after")


async def test_each_end_has_its_consequence_whenever_it_is_killed(daemon: Daemon) -> None:
    """Killed at any moment, every execution of one flow is followed by exactly one of the other."""
    daemon.add_flow(flow("ticking", SECONDLY), "1.yaml")
    daemon.add_flow(flow("after", {"id": "after", "type": "io.kestra.plugin.core.trigger.Flow"}), "2.yaml")
    for ended in (1, 2, 3):
        daemon.start()
        await daemon.until(lambda ended=ended: len(daemon.logged("execution_ended")) >= ended, "executions to end")
        daemon.kill()
    daemon.add_flow(flow("ticking", SECONDLY | {"disabled": True}), "1.yaml")

    assert await daemon.once() == 0

    found = await _offline(daemon)
    sources = [item["id"] for item in found if item["flowId"] == "ticking"]
    followed = [item["trigger"]["variables"]["executionId"] for item in found if item["flowId"] == "after"]
    assert sorted(sources) == sorted(followed)
    assert {item["state"] for item in found} == {"SUCCESS"}


async def test_hostile_requests_harm_nobody(daemon: Daemon, address: str) -> None:
    """Too many headers, bytes that are no text, a body that never ends: the next caller is served as before."""
    daemon.add_flow(flow("called", HOOK))
    daemon.start("--listen", address)
    await daemon.ready()
    host, port = address.split(":")
    path = "/api/v1/executions/webhook/harbour/called/k"
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(110))
    answers = []
    for headers in (
        b"Content-Length: 0\r\n" + many,
        b"Content-Length: 0\r\nX-Odd: \xff\xfe\r\n",
        b"Content-Length: nan\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path}?odd=%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + headers + b"\r\n")
        answers.append((await reader.readline())[9:12])
        writer.close()
    hanging = await asyncio.open_connection(host, int(port))
    hanging[1].write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode())

    status, _ = await call(address, "harbour/called/k", {"ship": "Ada"})

    hanging[1].close()
    assert answers == [b"431", b"200", b"400"]
    assert status == 200
    assert len(await daemon.until_ended(2)) == 2
    assert (await daemon.call("executions", "list", "--json")).returncode == 0
