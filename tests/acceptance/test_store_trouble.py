"""A store that cannot be used: told once, tried again ever less often, shown, and over as soon as it can be used."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger
from aiohttp import web
from faults.proxy import is_get, proxy_to, writes_below
from stores.seaweedfs import Store


async def _in_trouble(daemon: Daemon, cause: str | None = None) -> dict[str, Any]:
    """Wait until the trigger shows trouble, with *cause* if given, and give the problem."""

    async def shown() -> dict[str, Any] | None:
        found = await daemon.trigger()
        return found["problem"] if found["state"] == "ERROR" else None

    problem = await daemon.until(shown, f"trouble with cause {cause}")
    assert problem["cause"] == (cause or problem["cause"]), problem
    assert problem["message"]
    assert problem["hint"]
    return problem


async def _recovers(daemon: Daemon, cause: str, mend: Callable[[], Awaitable[object]], objects: Any) -> None:
    """Check that trouble was told once, though it went on; then *mend* it and see the object processed."""
    assert [record["cause"] for record in daemon.logged("trigger_failing")] == [cause]
    assert (await daemon.call("triggers", "list")).stdout.count(cause) >= 1
    await mend()
    (item,) = await daemon.until_ended(1)
    assert item["state"] == "SUCCESS"
    await daemon.until(lambda: daemon.logged("trigger_recovered"), "the trigger to recover")
    shown = await daemon.trigger()
    assert (shown["state"], shown["problem"]) == ("OK", None)
    assert len(daemon.logged("trigger_failing")) == len(daemon.logged("trigger_recovered")) == 1
    assert await objects.keys() == ["archive/a.csv"]


def _flow(objects: Any, **properties: Any) -> dict[str, Any]:
    return flow(log(), triggers=[trigger(objects.bucket, **properties)])


async def test_endpoint_down(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """Nobody answers at the endpoint; when somebody does, the waiting object is processed."""
    await objects.put("raw/a.csv")
    async with proxy_to(seaweedfs.endpoint_url, up=False) as proxy:
        daemon = daemons(
            seaweedfs,
            AWS_ENDPOINT_URL=proxy.endpoint_url,
            TIDEWAITER_RETRY__INITIAL="PT0.1S",
            TIDEWAITER_RETRY__MAXIMUM="PT0.4S",
        )
        daemon.add_flow(_flow(objects))
        daemon.start()
        await daemon.ready()
        problem = await _in_trouble(daemon)
        assert str(proxy.port) in problem["message"]
        await _recovers(daemon, problem["cause"], proxy.up, objects)


async def test_denied_in_the_archive(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """403 on the archive: the object stays, its execution waits, other requests are spaced out; then all goes on."""
    await objects.put("raw/a.csv")
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        rule = proxy.deny(writes_below(f"{objects.bucket}/archive/"))
        daemon = daemons(
            seaweedfs,
            AWS_ENDPOINT_URL=proxy.endpoint_url,
            TIDEWAITER_RETRY__INITIAL="PT0.1S",
            TIDEWAITER_RETRY__MAXIMUM="PT0.4S",
        )
        daemon.add_flow(_flow(objects))
        daemon.start()
        await daemon.ready()
        problem = await _in_trouble(daemon, "AccessDenied")
        assert "s3:PutObject" in problem["hint"]
        denied = len(_writes(proxy.requests))
        await daemon.until(lambda: len(_writes(proxy.requests)) >= denied + 3, "further attempts")
        assert await objects.keys() == ["raw/a.csv"]
        assert await daemon.executions() == []

        async def allow() -> None:
            proxy.rules.remove(rule)

        await _recovers(daemon, "AccessDenied", allow, objects)


async def test_denied_in_the_archive_later(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """403 that begins when the daemon has long been running: what is stored here waits for its archiving, not lost."""
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        daemon = daemons(
            seaweedfs,
            AWS_ENDPOINT_URL=proxy.endpoint_url,
            TIDEWAITER_RETRY__INITIAL="PT0.1S",
            TIDEWAITER_RETRY__MAXIMUM="PT0.4S",
        )
        daemon.add_flow(_flow(objects))
        daemon.start()
        await daemon.ready()
        await daemon.until_looked()
        rule = proxy.deny(writes_below(f"{objects.bucket}/archive/"))
        await objects.put("raw/a.csv")
        await _in_trouble(daemon, "AccessDenied")
        assert await objects.keys() == ["raw/a.csv"]
        assert [item["state"] for item in await daemon.executions()] == ["CREATED"]

        async def allow() -> None:
            proxy.rules.remove(rule)

        await _recovers(daemon, "AccessDenied", allow, objects)


def _writes(requests: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [request for request in requests if request[0] == "PUT" and "/archive/" in request[1]]


async def test_backs_off(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """A store that refuses everything is asked ever less often, not once an interval."""
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        proxy.deny(lambda _request: True)
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url, TIDEWAITER_RETRY__INITIAL="PT0.2S")
        daemon.add_flow(_flow(objects, interval="PT0.05S"))
        daemon.start()
        await daemon.ready()
        await _in_trouble(daemon, "AccessDenied")
        # Not a wait for a result: this is the span in which an interval of 50 ms would mean 40 attempts.
        await asyncio.sleep(2)
        # An attempt begins with the upload of a probe object.
        assert 2 <= sum(method == "PUT" for method, _ in proxy.requests) <= 7


async def test_no_such_bucket(daemon: Daemon, objects: Any) -> None:
    """The bucket is not there yet; the trigger works as soon as it is."""
    name = f"{objects.bucket}-later"
    daemon.add_flow(flow(log(), triggers=[trigger(name)]))
    daemon.start()
    await daemon.ready()
    problem = await _in_trouble(daemon, "NoSuchBucket")
    assert name in problem["message"]
    objects.bucket = name

    async def create() -> None:
        await objects.client.create_bucket(Bucket=name)
        await objects.put("raw/a.csv")

    await _recovers(daemon, "NoSuchBucket", create, objects)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        pytest.param({"SECRET_AWS_ACCESS_KEY_ID": "somebody"}, "InvalidAccessKeyId", id="unknown key"),
        pytest.param({"SECRET_AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch", id="wrong secret"),
    ],
)
async def test_wrong_credentials(changed: dict[str, str], cause: str, daemon: Daemon, objects: Any) -> None:
    """Wrong keys are told as such; the object waits and is processed by the next start with the right ones."""
    await objects.put("raw/a.csv")
    right = dict(daemon.environment)
    daemon.environment |= {name: base64.b64encode(value.encode()).decode() for name, value in changed.items()}
    daemon.add_flow(_flow(objects))
    daemon.start()
    await daemon.ready()
    await _in_trouble(daemon, cause)
    assert len(daemon.logged("trigger_failing")) == 1
    assert await daemon.stop() == 0
    assert await objects.keys() == ["raw/a.csv"]
    daemon.environment = right
    assert await daemon.once() == 0
    assert [item["state"] for item in await daemon.executions()] == ["SUCCESS"]


async def test_no_credentials(daemon: Daemon, objects: Any) -> None:
    """Without keys in the flow and without any in the standard places, that is what is said."""
    daemon.add_flow(_flow(objects, accessKeyId=None, secretKeyId=None))
    assert await daemon.once() == 1
    (record,) = daemon.logged("trigger_failing")
    assert record["cause"] == "NoCredentials"
    assert "AWS_ACCESS_KEY_ID" in record["hint"]


async def test_secret_of_the_trigger_missing(daemon: Daemon, objects: Any) -> None:
    """A secret that the trigger needs is not there: named, with the variable that would give it."""
    del daemon.environment["SECRET_AWS_ACCESS_KEY_ID"]
    daemon.add_flow(_flow(objects))
    assert await daemon.once() == 1
    (record,) = daemon.logged("trigger_failing")
    assert "AWS_ACCESS_KEY_ID" in record["error"]
    assert "SECRET_AWS_ACCESS_KEY_ID" in f"{record['error']} {record['hint']}"


async def test_other_triggers_go_on(daemon: Daemon, objects: Any) -> None:
    """A trigger in trouble keeps no other one from working."""
    daemon.add_flow(flow(log(), triggers=[trigger("no-such-bucket-anywhere")], name="lame"), "a.yaml")
    daemon.add_flow(_flow(objects), "b.yaml")
    await objects.put("raw/a.csv")
    assert await daemon.once() == 1
    assert [(item["flowId"], item["state"]) for item in await daemon.executions()] == [("arrivals", "SUCCESS")]


async def test_listed_but_never_there(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """A key that is listed and answers 404 is claimed twice, then parked: the journal does not grow at every poll."""
    await objects.put("raw/a.csv")
    async with proxy_to(seaweedfs.endpoint_url) as proxy:

        async def not_there(request: web.Request) -> web.Response | None:
            return web.Response(status=404) if is_get("raw/a.csv")(request) else None

        proxy.rules.append(not_there)
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(_flow(objects))
        daemon.start()
        await daemon.ready()

        async def parked() -> bool:
            return "PARKED" in (await daemon.trigger())["detections"]

        await daemon.until(parked, "the object to be parked")
        await daemon.until_looked(3)
        assert (await daemon.trigger())["detections"] == {"GONE": 1, "PARKED": 1}
        (shown, _) = await daemon.ask("objects")
        assert "listed again and again" in shown["error"]
