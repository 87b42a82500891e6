"""An object that is overwritten while it is being moved: no content is lost, whenever it happens."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, hashing, trigger
from faults.proxy import Meant, is_copy, is_delete, is_get, proxy_to
from stores.seaweedfs import Store

KEY = "raw/report.csv"
OLD, NEW = b"the first content", b"the second content, longer"


@pytest.mark.parametrize(
    ("moment", "processed"),
    [
        pytest.param(is_get, {NEW}, id="after the listing, before the GET"),
        pytest.param(is_copy, {OLD, NEW}, id="after the GET, before the COPY"),
        pytest.param(is_delete, {OLD, NEW}, id="after the COPY, before the DELETE"),
    ],
)
async def test_overwritten_while_being_moved(
    moment: Callable[[str], Meant],
    processed: set[bytes],
    daemons: Callable[..., Daemon],
    seaweedfs: Store,
    objects: Any,
) -> None:
    """Whatever was read is processed and archived; what replaced it is found by the next look."""
    await objects.put(KEY, OLD)
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        gate = proxy.hold(moment(KEY))
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(flow(hashing(), triggers=[trigger(objects.bucket)]))
        daemon.start()
        await daemon.until(gate.reached.is_set, "the request to hold")
        await objects.put(KEY, NEW)
        gate.open()
        executions = await daemon.until_ended(len(processed))
        await daemon.until_looked(2)
        executions = await daemon.executions()
    seen = {
        (await daemon.ask(f"executions/{item['id']}"))["taskRuns"][0]["outputs"]["vars"]["sha256"]
        for item in executions
    }
    assert len(executions) == len(processed)
    assert seen == {hashlib.sha256(content).hexdigest() for content in processed}
    assert {await objects.get(key) for key in await objects.keys("archive/")} == processed
    assert await objects.keys("raw/") == []


async def test_removed_by_somebody_before_it_was_read(
    daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any
) -> None:
    """An object that is gone before anything of it was read starts nothing, and the trigger goes on."""
    await objects.put(KEY, OLD)
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        gate = proxy.hold(is_get(KEY))
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(flow(hashing(), triggers=[trigger(objects.bucket)]))
        daemon.start()
        await daemon.until(gate.reached.is_set, "the request to hold")
        await objects.client.delete_object(Bucket=objects.bucket, Key=KEY)
        gate.open()
        await objects.put("raw/next.csv", NEW)
        (item,) = await daemon.until_ended(1)
        detections = (await daemon.trigger())["detections"]
    assert [found["key"] for found in item["trigger"]["objects"]] == ["raw/next.csv"]
    assert detections == {"DONE": 1, "GONE": 1}
