"""The reply is lost after the effect: once for each object, at every request that changes something."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from faults.operation import Operation, key_of, operation_of
from faults.storm import LostReplies
from reliability import small_parts
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, contents, first, scene
from reliability.small_parts import SIZES

_OBJECTS = {Scale.SHORT: 12, Scale.FULL: 500, Scale.LONG: 5000}
_OF_SEVERAL_PARTS = 20
_SECONDS_PER_OBJECT, _SECONDS_PER_LARGE_OBJECT = 0.5, 15.0


@dataclass(frozen=True, slots=True)
class _Case:
    """
    The replies to *operation* are lost. *size* is that of the objects, if they are to be so large that they go in
    parts; *from_copy*: somebody removes each object when it is to be copied, so that it is archived from the daemon's
    own file.
    """

    name: str
    operation: Operation
    size: int = 0
    from_copy: bool = False

    def objects(self, scale: Scale) -> int:
        """How many to try: fewer of those of several parts, which are large."""
        number = _OBJECTS[scale]
        return max(2, number // _OF_SEVERAL_PARTS) if self.large else number

    @property
    def large(self) -> bool:
        """Whether an upload of one object takes several parts."""
        return self.size > SIZES.upload_part


_CASES = (
    _Case("COPY", Operation.COPY),
    _Case("DELETE", Operation.DELETE),
    _Case("PUT from our own copy", Operation.PUT, from_copy=True),
    _Case("Complete of a copy in parts", Operation.COMPLETE, size=2 * SIZES.copy_whole),
    _Case("Complete of an upload in parts", Operation.COMPLETE, size=SIZES.upload_part + 1, from_copy=True),
)


async def lost_replies(setting: Setting) -> list[Figure]:
    """After each kind of lost reply: archived once, with the right bytes, the source free, and one execution."""
    return list(await asyncio.gather(*(_figure(setting, case) for case in _CASES)))


async def _figure(setting: Setting, case: _Case) -> Figure:
    number = case.objects(setting.scale)
    put = _contents(number, case)
    async with scene(setting, "lost", **QUICK) as place:
        if case.size:
            place.daemon.program = (small_parts.__file__,)
        await place.fill(put)
        place.watch(maxKeys=25, maxFiles=25, allowConcurrent=True)
        if case.from_copy:
            place.proxy.rules.append(_Removing(place))
        rule = LostReplies(place.proxy, frozenset({case.operation}))
        place.proxy.rules.append(rule)
        place.daemon.start()
        await place.daemon.ready()
        each = _SECONDS_PER_LARGE_OBJECT if case.large else _SECONDS_PER_OBJECT
        completed = await place.done(number, seconds=60 + number * each)
        wrong = [*await place.violations(put), *(() if completed else ("it did not complete",))]
    lost = rule.lost[case.operation]
    return Figure(
        f"reply lost after {case.name}",
        f"0 wrong states in {number}",
        f"{len(wrong)} wrong states in {lost}",
        met=not wrong and lost == number,
        detail={"seed": setting.seed, "lost": lost, "calls": len(place.proxy.requests), "violations": first(wrong)},
    )


def _contents(number: int, case: _Case) -> Mapping[str, bytes]:
    small = contents(number, f"lost {case.name}")
    return {name: content.ljust(case.size, b".") for name, content in small.items()}


@dataclass
class _Removing:
    """A rule: somebody else removes the source of a copy just before the store gets to it."""

    place: Scene

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if operation_of(request) in {Operation.COPY, Operation.PART_COPY} and "probe" not in key_of(request):
            source: Any = request.headers["x-amz-copy-source"]
            key = source.split("?")[0].partition("/")[2]
            await self.place.objects.client.delete_object(Bucket=self.place.objects.bucket, Key=key)
        return None
