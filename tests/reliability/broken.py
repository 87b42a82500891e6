"""
The controls: the crash rig on daemons that follow a wrong order on purpose. Where it finds nothing, its zeros mean
nothing.
"""

from collections.abc import AsyncIterator

from reliability.broken_orders import BROKEN_ORDERS, BrokenOrder
from reliability.crash_points import some
from reliability.crash_rig import Kill, Outcome, Rig, rig
from reliability.crash_scene import MOMENTS
from reliability.experiment import Figure, Scale, Setting

# No kill shows it, a writer does: see `reliability.schedules`.
ELSEWHERE = {"unconditional-removal"}
# Those that few kills find out.
SHORT = {"claim-is-final", "recovery-begins-anew", "overwriting-archive", "result-not-recorded"}
_KILLS = {Scale.SHORT: 120, Scale.FULL: 100, Scale.LONG: 300}
_LONGEST_SECONDS = 1.0


async def broken(setting: Setting) -> list[Figure]:
    """Kill daemons that follow each of the wrong orders; each must do the harm that it is known for."""
    async with rig(setting, "broken") as place:
        chosen = SHORT if setting.scale is Scale.SHORT else BROKEN_ORDERS.keys() - ELSEWHERE
        return [await _control(place, name, order) for name, order in BROKEN_ORDERS.items() if name in chosen]


async def _kills(place: Rig, name: str, order: BrokenOrder) -> AsyncIterator[Kill]:
    """Choose where to kill by chance: at the small scale by the clock, which needs no tracing, else at points."""
    if order.in_tasks:
        for moment in MOMENTS:
            yield Kill(order.action, inside=moment, broken=name)
    scale = place.setting.scale
    if scale is Scale.SHORT:
        for _ in range(_KILLS[scale]):
            yield Kill(order.action, after=place.chance.uniform(0, _LONGEST_SECONDS), broken=name)
    else:
        for point in some(await place.points(order.action, broken=name), _KILLS[scale], place.chance):
            yield Kill(order.action, at=point, broken=name)


async def _control(place: Rig, name: str, order: BrokenOrder) -> Figure:
    """Kill one of them; at the small scale until it is found out, else as often as is set."""
    harmed: list[Outcome] = []

    def found_out(outcome: Outcome) -> bool:
        if outcome.harm(order.harm):
            harmed.append(outcome)
        return place.setting.scale is Scale.SHORT and bool(harmed)

    kills = [kill async for kill in _kills(place, name, order)]
    outcomes = await place.all(kills, enough=found_out)
    effective = sum(outcome.effective for outcome in outcomes)
    return Figure(
        f"control: {order.says}",
        "> 0",
        f"{len(harmed)} of {effective} kills",
        met=bool(harmed),
        control=True,
        detail={
            "order": name,
            "harm": order.harm.value,
            "trials": effective,
            "violations": [f"{outcome.kill}: {outcome.harm(order.harm)[0]}" for outcome in harmed[:3]],
        },
    )
