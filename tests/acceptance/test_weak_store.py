"""A store that ignores every condition: nothing is removed from it unless the flow accepts the risk."""

from collections.abc import Callable
from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger
from acceptance.objects import Objects
from stores.seaweedfs import Store


@pytest.fixture
def weak_daemon(daemons: Callable[..., Daemon], weak_store: Store) -> Daemon:
    return daemons(weak_store)


@pytest.fixture
async def weak_objects(weak_s3: Any, weak_store: Store, weak_bucket_name: str) -> Objects:
    objects = Objects(weak_s3, weak_store, weak_bucket_name)
    await objects.put("raw/a.csv")
    return objects


ACTIONS = pytest.mark.parametrize(
    ("action", "left"), [({"action": "MOVE"}, ["archive/a.csv"]), ({"action": "DELETE", "moveTo": None}, [])]
)


@ACTIONS
async def test_refuses(action: dict[str, Any], left: list[str], weak_daemon: Daemon, weak_objects: Objects) -> None:
    """MOVE and DELETE do not start: the reason and the three ways out are told, the object is not touched."""
    weak_daemon.add_flow(flow(log(), triggers=[trigger(weak_objects.bucket, **action)]))
    assert await weak_daemon.once() == 1
    (record,) = weak_daemon.logged("trigger_failing")
    assert record["cause"] == "UnsafeDelete"
    assert "allowUnconditionalDelete: true" in record["hint"]
    assert await weak_objects.keys("raw/") == ["raw/a.csv"]
    assert await weak_daemon.executions() == []


@ACTIONS
async def test_accepted(action: dict[str, Any], left: list[str], weak_daemon: Daemon, weak_objects: Objects) -> None:
    """With ``allowUnconditionalDelete: true`` both work."""
    watched = trigger(weak_objects.bucket, allowUnconditionalDelete=True, **action)
    weak_daemon.add_flow(flow(log(), triggers=[watched]))
    assert await weak_daemon.once() == 0
    assert [item["state"] for item in await weak_daemon.executions()] == ["SUCCESS"]
    assert [key for key in await weak_objects.keys() if not key.startswith(".tidewaiter")] == left


async def test_none_needs_nothing(weak_daemon: Daemon, weak_objects: Objects) -> None:
    """Action NONE asks nothing of the store."""
    weak_daemon.add_flow(flow(log(), triggers=[trigger(weak_objects.bucket, action="NONE", moveTo=None)]))
    assert await weak_daemon.once() == 0
    assert [item["state"] for item in await weak_daemon.executions()] == ["SUCCESS"]


async def test_a_store_without_tags(daemons: Callable[..., Daemon], weak_store: Store, weak_objects: Objects) -> None:
    """TAG leaves the object as it is, lets its execution go after a while, and shows the trouble with a way out."""
    daemon = daemons(
        weak_store,
        TIDEWAITER_RETRY__INITIAL="PT0.1S",
        TIDEWAITER_RETRY__MAXIMUM="PT0.2S",
        TIDEWAITER_RETRY__ACTION_TIMEOUT="PT0.5S",
    )
    tagging = trigger(weak_objects.bucket, action="TAG", moveTo=None, tags={"state": "taken"})
    daemon.add_flow(flow(log(), triggers=[tagging]))
    daemon.start()
    await daemon.ready()
    (item,) = await daemon.until_ended(1)
    assert item["state"] == "SUCCESS"
    assert (await daemon.trigger())["problem"]["cause"] == "NotImplemented"
    (record,) = daemon.logged("action_blocked")
    assert record["hint"] == "choose another action, or a store that has object tagging"
    assert await weak_objects.get("raw/a.csv") == b"content"
