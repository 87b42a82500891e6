"""A store that ignores every condition: refused, and what is lost there by whoever accepts it."""

import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiohttp import web
from faults.operation import Operation, key_of, operation_of
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, contents, first, md5, scene, sha256
from stores.rclone import rclone

_OBJECTS = {Scale.SHORT: 20, Scale.FULL: 400, Scale.LONG: 4000}
_OVERWRITTEN = 4  # every fourth object


@dataclass
class _Gap:
    """
    A rule: times how long after the answer to a HEAD the DELETE of the same key comes (*seconds*), and puts new content
    there in that moment at every fourth key (*overwritten*).
    """

    place: Scene
    seconds: list[float] = field(default_factory=list)
    overwritten: dict[str, bytes] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        operation, key = operation_of(request), key_of(request)
        if not key.startswith("raw/"):
            return None
        if operation is Operation.HEAD:
            answer = await self.place.proxy.carry_out(request)
            self._looked[key] = time.monotonic()
            return answer.response()
        if operation is Operation.DELETE and key in self._looked:
            self.seconds.append(time.monotonic() - self._looked.pop(key))
            if len(self.seconds) % _OVERWRITTEN == 0:
                self.overwritten[key] = f"new content at {key}".encode()
                await self.place.objects.put(key, self.overwritten[key])
        return None


async def weak_store(setting: Setting) -> list[Figure]:
    """
    On a store without conditions: MOVE is refused by default; with ``allowUnconditionalDelete: true`` the gap between
    HEAD and DELETE is measured, and what is put there in just that moment is lost.
    """
    setting.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(rclone(setting.folder))
        refused = await stack.enter_async_context(scene(setting, "refused", store, **QUICK))
        accepted = await stack.enter_async_context(scene(setting, "accepted", store, **QUICK))
        return [await _refuses(refused), *await _accepted(setting, accepted)]


async def _refuses(place: Scene) -> Figure:
    await place.objects.put("raw/a.csv")
    place.watch()
    code = await place.daemon.once()
    causes = [record["cause"] for record in place.daemon.logged("trigger_failing")]
    left = await place.objects.keys("raw/")
    return Figure(
        "weak store, by default",
        "refuses, touches nothing",
        f"{causes}, exit code {code}, {len(left)} of 1 objects left alone",
        met=(code, causes, left) == (1, ["UnsafeDelete"], ["raw/a.csv"]),
    )


async def _accepted(setting: Setting, place: Scene) -> list[Figure]:
    number = _OBJECTS[setting.scale]
    put = contents(number, "weak")
    for name, content in put.items():
        await place.objects.put(f"raw/{name}", content)
    place.watch(maxKeys=25, maxFiles=25, allowUnconditionalDelete=True)
    gap = _Gap(place)
    place.proxy.rules.append(gap)
    place.daemon.start()
    await place.daemon.ready()
    completed = await place.done(number, seconds=60 + number * 0.5)
    return [await _measured(place, put, gap, completed=completed), await _lost(place, gap)]


async def _measured(place: Scene, put: Mapping[str, bytes], gap: _Gap, *, completed: bool) -> Figure:
    processed = set(place.daemon.done())
    wrong = [name for name, content in put.items() if sha256(content) not in processed]
    millis = sorted(second * 1000 for second in gap.seconds)
    centiles = statistics.quantiles(millis, n=100)
    return Figure(
        "weak store, accepted: from HEAD to DELETE",
        "printed",
        f"p50 {centiles[49]:.1f} ms, p99 {centiles[98]:.1f} ms over {len(millis)} objects",
        met=completed and not wrong and len(millis) >= len(put),
        detail={"p50 ms": centiles[49], "p99 ms": centiles[98], "objects": len(millis), "violations": first(wrong)},
    )


async def _lost(place: Scene, gap: _Gap) -> Figure:
    kept = {*(await place.etags("raw/")).values(), *(await place.archive()).values()}
    processed = set(place.daemon.done())
    lost = [key for key, new in gap.overwritten.items() if sha256(new) not in processed and md5(new) not in kept]
    return Figure(
        "weak store, accepted: content put between HEAD and DELETE",
        "> 0 lost, which is why it is refused",
        f"{len(lost)} of {len(gap.overwritten)} lost",
        met=len(lost) > 0,
        control=True,
        detail={"lost": first(lost)},
    )
