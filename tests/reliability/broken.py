"""
The controls: the crash rig on daemons that follow a wrong order on purpose. Where it finds nothing, its zeros mean
nothing.
"""

from reliability.broken_orders import BROKEN_ORDERS, BrokenOrder
from reliability.crash_rig import Kill, Outcome, Rig, rig
from reliability.crash_scene import MOMENTS
from reliability.experiment import Figure, Scale, Setting

# No kill shows it, a writer does: see `reliability.schedules`.
ELSEWHERE = {"unconditional-removal"}
# Those that few kills find out.
SHORT = {"claim-is-final", "recovery-begins-anew", "overwriting-archive", "result-not-recorded"}
_KILLS = {Scale.SHORT: 150, Scale.FULL: 40, Scale.LONG: 400}


async def broken(setting: Setting) -> list[Figure]:
    """Kill daemons that follow each of the wrong orders; each must do the harm that it is known for."""
    async with rig(setting, "broken") as place:
        chosen = SHORT if setting.scale is Scale.SHORT else BROKEN_ORDERS.keys() - ELSEWHERE
        return [await _control(place, name, order) for name, order in BROKEN_ORDERS.items() if name in chosen]


async def _kills(place: Rig, name: str, order: BrokenOrder) -> list[Kill]:
    """Choose points to kill at by chance; inside tasks first where that shows the order soonest."""
    moments = MOMENTS if order.in_tasks else ()
    points = await place.points(order.action, broken=name)
    chosen = place.chance.sample(points, min(len(points), _KILLS[place.setting.scale]))
    return [
        *(Kill(order.action, inside=moment, broken=name) for moment in moments),
        *(Kill(order.action, at=point, broken=name) for point in chosen),
    ]


async def _control(place: Rig, name: str, order: BrokenOrder) -> Figure:
    """Kill one of them; at the small scale until it is found out, else as often as is set."""
    harmed: list[Outcome] = []

    def found_out(outcome: Outcome) -> bool:
        if outcome.harm(order.harm):
            harmed.append(outcome)
        return place.setting.scale is Scale.SHORT and bool(harmed)

    outcomes = await place.all(await _kills(place, name, order), enough=found_out)
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
