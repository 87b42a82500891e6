"""
The real daemon, driven through schedules that the model generates: a proxy holds it before or after a request, there
somebody overwrites or removes the object or the daemon is killed, and its end must be one that the model allows. A
request of a killed daemon may be let through later, as a store may carry it out after the death of who sent it.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from aiohttp import web
from faults.operation import Operation, key_of, operation_of
from faults.proxy import Proxy, proxy_to
from reliability.broken_orders import BROKEN_ORDERS
from reliability.crash_audit import PROBE, Evidence, audit_traces
from reliability.crash_rig import AT_ONCE, Rig, rig
from reliability.crash_scene import ACTIONS, Scene, digest
from reliability.experiment import Figure, Scale, Setting
from reliability.forkserver import Forked
from reliability.model_schedules import DOWN, LATE, Ending, Event, Schedule, schedules_of

CONTENTS = {"a": b"a" * 500, "b": b"b" * 700}
KEY = "a.csv"
SHORT = 8
SHOWN = 10
_SECONDS = 60.0
_CONTROL = "unconditional-removal"
_KINDS = {Operation.LIST: "LIST", Operation.GET: "GET", Operation.DELETE: "DELETE", Operation.PUT_TAGS: "TAG"}
_STORES = {Operation.COPY, Operation.PUT}


@dataclass(slots=True)
class Stop:
    """
    A place to hold the daemon at, once. *reached*: it is held; *verdict*: whether its request goes on to the store;
    *over*: the store has answered.
    """

    place: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    verdict: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Stage:
    """A rule for *proxy*: holds the daemon that works below *folder* of the bucket at the present *stop*."""

    proxy: Proxy
    folder: str
    stop: Stop | None = None

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        kind = self._kind(request)
        if kind is None:
            return None
        before = self._stop_at(f"before {kind}")
        if before and not await before.verdict:
            return web.Response(status=503)
        answer = await self.proxy.carry_out(request)
        if before:
            before.over.set()
        if after := self._stop_at(f"after {kind}"):
            await after.verdict
        return answer.response()

    def _kind(self, request: web.Request) -> str | None:
        """Name the request by what the model calls it; None if it is not about the object."""
        operation, key = operation_of(request), key_of(request)
        if operation is Operation.LIST:
            return "LIST" if request.query["prefix"].startswith(self.folder) else None
        if not key.startswith(self.folder) or PROBE in key:
            return None
        return "COPY" if operation in _STORES else _KINDS.get(operation)

    def _stop_at(self, place: str) -> Stop | None:
        stop = self.stop
        if stop is None or stop.place != place or stop.reached.is_set():
            return None
        stop.reached.set()
        return stop


@dataclass(slots=True)
class Play:
    """
    One schedule played: the *stage*, the *scene*, and the *daemon* while there is one. *patient*: what is under way
    when the daemon dies arrives when the next one is through, else before that is started.
    """

    stage: Stage
    scene: Scene
    patient: bool
    daemon: Forked | None = None
    late: list[Stop] = field(default_factory=list)

    async def through(self, schedule: Schedule) -> bool:
        """Let everything happen where it should; gives whether each place was reached."""
        for event in schedule:
            if event.place != DOWN and not await self._held_at(event.place):
                return False
            await self._happen(event)
        return True

    async def _held_at(self, place: str) -> bool:
        held = self.stage.stop
        if held and held.place == place:
            return True
        stop = self.stage.stop = Stop(place)
        await self._go_on(held)
        return await self._reached(stop)

    async def _go_on(self, held: Stop | None) -> None:
        """Let the daemon go from where it is held, or start it."""
        if held:
            held.verdict.set_result(True)
        if self.daemon is None:
            self.daemon = await self.scene.launch()

    async def _reached(self, stop: Stop) -> bool:
        assert self.daemon is not None
        reached = asyncio.create_task(stop.reached.wait())
        await asyncio.wait({reached, self.daemon.code}, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        return stop.reached.is_set()

    async def _happen(self, event: Event) -> None:
        objects, key = self.scene.objects, f"{self.scene.name}/raw/{KEY}"
        what, _, content = event.what.partition(" ")
        if what == "upload":
            await objects.put(key, CONTENTS[content])
        elif what == "remove":
            await objects.client.delete_object(Bucket=objects.bucket, Key=key)
        else:
            await self._die(under_way=event.what == LATE)

    async def _die(self, *, under_way: bool) -> None:
        assert self.daemon is not None
        assert self.stage.stop is not None
        stop, self.stage.stop = self.stage.stop, None
        await self.scene.kill(self.daemon)
        self.daemon = None
        if under_way and self.patient:
            self.late.append(stop)
        else:
            stop.verdict.set_result(under_way)
            await self._arrived(stop, under_way=under_way)

    async def _arrived(self, stop: Stop, *, under_way: bool = True) -> None:
        if under_way:
            await asyncio.wait_for(stop.over.wait(), _SECONDS)

    async def to_its_end(self) -> Evidence:
        """Let the daemon finish, then what is late, and then the daemon once more; gives what is to be seen."""
        held, self.stage.stop = self.stage.stop, None
        await self._go_on(held)
        await self._ended()
        for stop in self.late:
            stop.verdict.set_result(True)
            await self._arrived(stop)
        self.daemon = await self.scene.launch()
        return await self.scene.evidence(await self._ended())

    async def _ended(self) -> int:
        assert self.daemon is not None
        return await self.daemon.ended(_SECONDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a schedule: whether it was *played* to its last event, and what was wrong with its *ending*."""

    action: str
    schedule: Schedule
    played: bool
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.action}, {'; '.join(map(str, self.schedule))}"


@dataclass(slots=True)
class Theatre:
    """Plays schedules, several at once, behind one *proxy*."""

    rig: Rig
    proxy: Proxy
    _numbers: Iterator[int] = field(default_factory=count)

    async def play(self, action: str, schedule: Schedule, allowed: Collection[Ending], broken: str | None) -> Outcome:
        """Play one, and hold its ending against those that are *allowed*."""
        folder = self.rig.setting.folder / f"s{next(self._numbers)}"
        scene = Scene(folder, self.rig.objects, self.rig.server, action, broken)
        scene.contents, scene.endpoint_url = {KEY: CONTENTS["a"]}, self.proxy.endpoint_url
        stage = Stage(self.proxy, f"{scene.name}/")
        self.proxy.rules.append(stage)
        await scene.prepare()
        play = Play(stage, scene, self.rig.chance.random() < 0.5)
        played = await play.through(schedule)
        seen = await play.to_its_end()
        self.proxy.rules.remove(stage)
        scene.remove()
        return Outcome(action, schedule, played, tuple(_wrong(seen, allowed)))

    async def all(
        self, wanted: Iterable[tuple[str, Schedule, Collection[Ending]]], broken: str | None = None
    ) -> list[Outcome]:
        """Play all that are *wanted*."""
        left = iter(wanted)
        outcomes: list[Outcome] = []

        async def work() -> None:
            for action, schedule, allowed in left:
                outcomes.append(await self.play(action, schedule, allowed, broken))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        return outcomes


def _wrong(seen: Evidence, allowed: Collection[Ending]) -> Iterator[str]:
    ending = _ending(seen)
    if ending not in allowed:
        yield f"{ending} is none of {sorted(allowed)}"
    yield from map(str, audit_traces(seen))


def _ending(seen: Evidence) -> Ending:
    names = {digest(content): name for name, content in CONTENTS.items()}
    succeeded = [row["id"] for row in seen.journal.executions if row["state"] == "SUCCESS"]
    told = {effect.execution: names[effect.sha256] for effect in seen.effects if effect.task == "last"}
    return Ending(
        "".join(names[found] for found in seen.bucket.values()),
        tuple(sorted(names[found] for found in seen.archive.values())),
        tuple(sorted(told.get(execution, "nothing") for execution in succeeded)),
    )


async def schedules(setting: Setting) -> list[Figure]:
    """Play schedules of the model, a few or all; and those that an unconditional DELETE must not survive."""
    async with rig(setting, "schedules") as place, proxy_to(setting.store.endpoint_url) as proxy:
        theatre = Theatre(place, proxy)
        all_there_are = [(a, schedule, allowed) for a in ACTIONS for schedule, allowed in schedules_of(a).items()]
        place.chance.shuffle(all_there_are)
        chosen = all_there_are[:SHORT] if setting.scale is Scale.SHORT else all_there_are
        played = await theatre.all(chosen)
        control = await theatre.all(_harmful(place, setting.scale), _CONTROL)
    return [_figure(played, len(all_there_are)), _control(control)]


def _harmful(place: Rig, scale: Scale) -> list[tuple[str, Schedule, Collection[Ending]]]:
    """Give schedules of DELETE in which the content at the key changes after it was read."""
    changed = {Event("after GET", "upload b"), Event("before DELETE", "upload b")}
    found = [
        ("DELETE", schedule, allowed) for schedule, allowed in schedules_of("DELETE").items() if changed & {*schedule}
    ]
    return place.chance.sample(found, 2) if scale is Scale.SHORT else found


def _figure(outcomes: Sequence[Outcome], number: int) -> Figure:
    wrong = [f"{outcome}: {'; '.join(outcome.wrong)}" for outcome in outcomes if outcome.wrong]
    missed = [str(outcome) for outcome in outcomes if not outcome.played]
    return Figure(
        "schedules of the model that the daemon ends otherwise",
        "0",
        f"{len(wrong)} of {len(outcomes)} schedules ({number} there are)",
        met=not wrong and not missed,
        detail={
            "trials": len(outcomes),
            "byEvent": dict(sorted(Counter(str(event) for o in outcomes for event in o.schedule).items())),
            "notPlayed": missed,
            "violations": wrong[:SHOWN],
        },
    )


def _control(outcomes: Sequence[Outcome]) -> Figure:
    wrong = [f"{outcome}: {'; '.join(outcome.wrong)}" for outcome in outcomes if outcome.wrong]
    return Figure(
        f"control: {BROKEN_ORDERS[_CONTROL].says}",
        "> 0",
        f"{len(wrong)} of {len(outcomes)} schedules",
        met=bool(wrong),
        control=True,
        detail={"order": _CONTROL, "trials": len(outcomes), "violations": wrong[:3]},
    )
