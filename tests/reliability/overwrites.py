"""A writer that overwrites keys while they are being moved: between listing, GET, COPY and DELETE, and at random."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from aiohttp import web
from botocore.exceptions import ClientError
from faults.listings import Listings
from faults.operation import Operation, key_of, operation_of
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, first, md5, scene, sha256

_OVERWRITES = {Scale.SHORT: 100, Scale.FULL: 2000, Scale.LONG: 50_000}
_KEYS = 25
_STEPS = {Operation.GET, Operation.COPY, Operation.DELETE}
_SHARE = 0.25
_PAUSE_SECONDS = 0.02


@dataclass
class _Writer:
    """
    Puts contents, no two the same, at a few keys. It says which content it replaces (``If-Match``), so that what it
    destroyed itself (*replaced*) is told from what vanished otherwise. As a rule of the proxy it strikes right before
    and right after a step of the daemon; *struck* counts where.
    """

    place: Scene
    chance: random.Random
    wanted: int
    written: dict[str, bytes] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    struck: Counter[str] = field(default_factory=Counter)
    _last: dict[str, str] = field(default_factory=dict)
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @property
    def finished(self) -> bool:
        return len(self.written) >= self.wanted

    async def write(self, key: str) -> None:
        async with self._locks[key]:
            content = f"{key} {self.chance.random()}".encode()
            before = self._last.get(key)
            if before and await self._put(key, content, IfMatch=f'"{before}"'):
                self.replaced.add(before)
            elif not await self._put(key, content, IfNoneMatch="*"):
                return
            self._last[key] = md5(content)
            self.written[md5(content)] = content

    async def _put(self, key: str, content: bytes, **condition: str) -> bool:
        objects = self.place.objects
        try:
            await objects.client.put_object(Bucket=objects.bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "NoSuchKey"}:
                raise
            return False
        return True

    async def at_random(self) -> None:
        while not self.finished:
            await self.write(f"raw/{self.chance.randrange(_KEYS)}.csv")
            self.struck["at random"] += 1
            await asyncio.sleep(self.chance.random() * _PAUSE_SECONDS)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        operation = operation_of(request)
        key = _source(request, operation)
        if operation not in _STEPS or not key.startswith("raw/") or self.finished or self.chance.random() > _SHARE:
            return None
        if self.chance.random() < 0.5:
            self.struck[f"before {operation}"] += 1
            await self.write(key)
            return None
        answer = await self.place.proxy.carry_out(request)
        self.struck[f"after {operation}"] += 1
        await self.write(key)
        return answer.response()


def _source(request: web.Request, operation: Operation) -> str:
    if operation is Operation.COPY:
        return request.headers["x-amz-copy-source"].partition("/")[2]
    return key_of(request)


async def overwrites(setting: Setting) -> list[Figure]:
    """
    Overwrite keys at every step of their move, on a store that honours conditions: a content that the writer itself did
    not replace is in an execution or still in the bucket, and what was processed is archived.

    What the writer replaces before it was read is gone by S3's own rules, whether a listing has shown it or not
    (reliability.md §3.7, R3); it is counted apart.
    """
    async with scene(setting, "overwrites", **QUICK) as place:
        writer = _Writer(place, random.Random(setting.seed), _OVERWRITES[setting.scale])
        listings = Listings(place.proxy)
        place.proxy.rules += [listings, writer]
        place.watch(interval="PT0.05S", maxKeys=5, maxFiles=5, allowConcurrent=True)
        place.daemon.start()
        await place.daemon.ready()
        await writer.at_random()
        settled = await place.settled(seconds=60 + writer.wanted * 0.1)
        return [await _figure(setting, place, writer, listings, settled=settled)]


async def _figure(setting: Setting, place: Scene, writer: _Writer, listings: Listings, *, settled: bool) -> Figure:
    processed = set(place.daemon.done())
    archived = set((await place.archive()).values())
    shown = {etag for _, etag in listings.showed if etag in writer.written}
    names = {etag: sha256(content) for etag, content in writer.written.items()}
    present = set((await place.etags("raw/")).values())
    gone = {etag for etag, name in names.items() if name not in processed} - present
    wrong = [
        *(f"lost: {writer.written[etag]!r}" for etag in gone - writer.replaced),
        *(f"not archived: {writer.written[etag]!r}" for etag in names.keys() - gone - present - archived),
        *(f"processed {times} times: {name}" for name, times in Counter(place.daemon.done()).items() if times > 1),
        *(() if settled else ("it did not settle",)),
    ]
    return Figure(
        f"overwrite race, {len(writer.written)} contents at {_KEYS} keys",
        "every content that a listing showed and the writer left is in an execution or in the bucket",
        f"{len(wrong)} violations; {len(shown)} contents shown, {len(shown & gone)} of them replaced by the writer "
        "before they were read",
        met=not wrong and all(writer.struck[f"before {step}"] + writer.struck[f"after {step}"] for step in _STEPS),
        detail={
            "seed": setting.seed,
            "written": len(writer.written),
            "shown": len(shown),
            "processed": len(processed),
            "replaced by the writer": len(writer.replaced),
            "struck": dict(writer.struck),
            "violations": first(wrong),
        },
    )
