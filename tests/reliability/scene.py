"""Where the fault experiments take place: a bucket behind a proxy, a daemon on it, and what became of each content."""

import hashlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance.driver import Daemon, make_daemon
from acceptance.flows import flow, shell, trigger
from acceptance.objects import Objects, plain_client
from faults.proxy import Proxy, proxy_to
from reliability.experiment import Setting
from stores.seaweedfs import Store

_INPUTS = (
    "{{ trigger.objects | jq('[to_entries[] | {key: \"in/\\(.key)\", value: .value.uri}] | from_entries') "
    "| first | toJson }}"
)
_LIVE = ("CLAIMED", "STORED", "COPIED", "ACTION_BLOCKED")
QUICK = {
    "TIDEWAITER_RETRY__INITIAL": "PT0.2S",
    "TIDEWAITER_RETRY__MAXIMUM": "PT2S",
    "TIDEWAITER_RETRY__READ_TIMEOUT": "PT2S",
}
"""Settings for experiments with many faults: every wait is short, none is left out."""


@dataclass
class Scene:
    """
    A *daemon* that reaches a bucket through *proxy*; *objects* is the same bucket reached directly. The daemon's tasks
    write the SHA-256 of every content they are given into its ledger.
    """

    daemon: Daemon
    proxy: Proxy
    objects: Objects

    def watch(self, **properties: Any) -> None:
        """Give the daemon its flow: the seed's trigger with *properties*, and a task that hashes what it is given."""
        watched = trigger(self.objects.bucket, **{"interval": "PT1S", **properties})
        command = f"cd in && sha256sum -- * | cut -c -64 >> {self.daemon.ledger}"
        self.daemon.add_flow(flow(shell("hash", command, inputFiles=_INPUTS), triggers=[watched]))

    async def fill(self, contents: Mapping[str, bytes]) -> None:
        """Put all *contents*, by their names below ``raw/``."""
        folder = self.daemon.folder / f"filling-{uuid.uuid4().hex}"
        for name, content in contents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        await self.objects.put_folder(folder, "raw/")

    async def done(self, number: int, *, seconds: float) -> bool:
        """Wait until *number* detections are DONE and every execution has ended; gives whether that came to be."""

        async def all_done() -> bool:
            counts = (await self.daemon.trigger())["detections"]
            live = any(counts.get(state, 0) for state in _LIVE)
            return counts.get("DONE", 0) >= number and not live and len(self.daemon.done()) >= number

        return await self._comes(all_done, f"{number} objects to be done", seconds)

    async def settled(self, *, seconds: float) -> bool:
        """Wait until the source is empty and nothing is in hand or waiting; gives whether that came to be."""

        async def nothing_left() -> bool:
            counts = (await self.daemon.trigger())["detections"]
            if any(counts.get(state, 0) for state in _LIVE) or await self.etags("raw/"):
                return False
            return all(item["endedAt"] for item in await self.daemon.executions())

        return await self._comes(nothing_left, "everything to be done", seconds)

    async def _comes(self, condition: Callable[[], Awaitable[bool]], what: str, seconds: float) -> bool:
        try:
            return await self.daemon.until(condition, what, seconds=seconds)
        except AssertionError:
            return False

    async def etags(self, prefix: str) -> dict[str, str]:
        """Every key below *prefix* with its ETag, which is the MD5 of a small object."""
        pages = self.objects.client.get_paginator("list_objects_v2").paginate(Bucket=self.objects.bucket, Prefix=prefix)
        return {item["Key"]: item["ETag"].strip('"') async for page in pages for item in page.get("Contents", ())}

    async def violations(self, contents: Mapping[str, bytes], *, archived: bool = True) -> list[str]:
        """
        Compare what was put with what became of it: each content in exactly one execution that succeeded, the source
        empty, and the archive (if *archived*) with each content once, under its own name.
        """
        expected = {f"archive/{name}": md5(content) for name, content in contents.items()} if archived else {}
        archive = await self.archive()
        return [
            *_differences(Counter(map(sha256, contents.values())), Counter(self.daemon.done())),
            *(f"left at its source: {key}" for key in await self.etags("raw/")),
            *(f"not archived: {key}" for key, etag in expected.items() if archive.get(key) != etag),
            *(f"archived besides: {key}" for key in archive.keys() - expected.keys()),
            *(f"execution {item['id']}: {item['state']}" for item in await self._failed()),
        ]

    async def archive(self) -> dict[str, str]:
        """The MD5 of every archived object: the ETag of one that was made of parts is another."""
        found = await self.etags("archive/")
        plain = {key: etag for key, etag in found.items() if ".tidewaiter-probe-" not in key}
        return {key: md5(await self.objects.get(key)) if "-" in etag else etag for key, etag in plain.items()}

    async def _failed(self) -> list[dict[str, Any]]:
        return [item for item in await self.daemon.executions() if item["state"] != "SUCCESS"]


def _differences(put: Counter[str], processed: Counter[str]) -> Iterable[str]:
    yield from (f"lost: content {digest}" for digest in put - processed)
    yield from (f"processed too often: content {digest}" for digest in processed - put)


def sha256(content: bytes) -> str:
    """The name of a content in the ledger."""
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    """The ETag of a small object."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def contents(number: int, label: str) -> dict[str, bytes]:
    """Make *number* small contents, no two the same, by file name."""
    return {f"{at:05}.csv": f"{label} {at}\n".encode() * (1 + at % 7) for at in range(number)}


@asynccontextmanager
async def scene(setting: Setting, name: str, store: Store | None = None, **settings: str) -> AsyncIterator[Scene]:
    """Set up a scene called *name* with a new bucket, on the *store* of *setting* if no other is given."""
    store = store or setting.store
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(plain_client(store))
        bucket = f"{name}-{uuid.uuid4().hex[:12]}"
        await client.create_bucket(Bucket=bucket)
        proxy = await stack.enter_async_context(proxy_to(store.endpoint_url))
        folder = setting.folder / f"{name}-{uuid.uuid4().hex[:6]}"
        daemon = make_daemon(folder, store, AWS_ENDPOINT_URL=proxy.endpoint_url, **settings)
        stack.callback(daemon.close)
        yield Scene(daemon, proxy, Objects(client, store, bucket))


def first(violations: list[str]) -> list[str]:
    """The first few, for the results."""
    return violations[:20]


def kept(folder: Path) -> set[str]:
    """The SHA-256 of every content in internal storage below the state directory *folder*."""
    return {sha256(file.read_bytes()) for file in (folder / "storage").rglob("data*") if file.is_file()}
