"""
``kill -9`` of the daemon at one system call after another, from the opening of the journal to the end of the last
execution, for each action; and inside its tasks, and again while it recovers.

See `reliability.crash_points` for why these points include the moments before and after every durable step, and
`reliability.crash_audit` for what must hold after the recovery.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reliability.crash_audit import Harm
from reliability.crash_points import some, spread
from reliability.crash_rig import Kill, Outcome, Rig, rig
from reliability.crash_scene import ACTIONS, MOMENTS, OBJECTS
from reliability.experiment import Figure, Scale, Setting

SHOWN = 10
_LONGEST_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How many kills of each action: at points, inside tasks, twice in a row, and of a daemon started by ``execve``.
    *wanted* is how many must have ended a daemon, of all actions together. LONG begins with every point there is.
    """

    points: int
    inside: int
    twice: int
    executed: int
    wanted: int


EFFORTS = {
    Scale.SHORT: Effort(points=2, inside=1, twice=1, executed=0, wanted=12),
    Scale.FULL: Effort(points=380, inside=8, twice=20, executed=10, wanted=2000),
}
_NAMES = {
    Harm.LOST: "objects lost over all kills",
    Harm.DOUBLED: "executions other than one per object",
    Harm.REPEATED: "tasks that had finished and ran again",
    Harm.LEFT: "files, rows, programs or work left after recovery",
}


async def crash(setting: Setting) -> list[Figure]:
    """Kill the daemon wherever it can be killed, and look whether anything was lost, doubled, repeated or left over."""
    begin = time.monotonic()
    async with rig(setting, "crash") as place:
        if setting.scale is Scale.LONG:
            end = begin + setting.hours * 3600
            kills = chain(await _everywhere(place), _at_any_time(place))
            outcomes = await place.all(kills, enough=lambda _: time.monotonic() > end)
            wanted = len(outcomes)
        else:
            effort = EFFORTS[setting.scale]
            kills = [kill for action in ACTIONS for kill in await _kills(place, action, effort)]
            place.chance.shuffle(kills)
            outcomes = await place.all(kills)
            wanted = effort.wanted
    return _figures(outcomes, wanted, time.monotonic() - begin)


async def _kills(place: Rig, action: str, effort: Effort) -> list[Kill]:
    """Choose the kills of one action, evenly over its way."""
    points = await place.points(action)
    twice = zip(some(points, effort.twice, place.chance), some(points, effort.twice, place.chance), strict=True)
    executed = await place.points(action, executed=True) if effort.executed else []
    return [
        *(Kill(action, at=point) for point in spread(points, effort.points)),
        *(Kill(action, inside=place.chance.choice(MOMENTS)) for _ in range(effort.inside)),
        *(Kill(action, at=first, again=second) for first, second in twice),
        *(Kill(action, at=point, executed=True) for point in spread(executed, effort.executed)),
    ]


async def _everywhere(place: Rig) -> list[Kill]:
    """Give a kill at each point of each action, in any order."""
    kills = [Kill(action, at=point) for action in ACTIONS for point in await place.points(action)]
    place.chance.shuffle(kills)
    return kills


def _at_any_time(place: Rig) -> Iterator[Kill]:
    """Kills at moments of the clock, without end."""
    while True:
        action = place.chance.choice(list(ACTIONS))
        yield Kill(action, after=place.chance.uniform(0, _LONGEST_SECONDS))


def _figures(outcomes: Sequence[Outcome], wanted: int, seconds: float) -> list[Figure]:
    effective = sum(outcome.effective for outcome in outcomes)
    detail = _detail(outcomes, seconds)
    return [_figure(harm, outcomes, wanted, {**detail, "trials": effective}) for harm in _NAMES]


def _figure(harm: Harm, outcomes: Sequence[Outcome], wanted: int, detail: dict[str, Any]) -> Figure:
    found = [(outcome.kill, said) for outcome in outcomes if (said := outcome.harm(harm))]
    shown = [f"{kill}: {violation}" for kill, said in found[:SHOWN] for violation in said]
    return Figure(
        _NAMES[harm],
        f"0 of ≥ {wanted:,} kills",
        f"{len(found)} of {detail['trials']:,} kills",
        met=not found and detail["trials"] >= wanted,
        detail={**detail, "violations": shown},
    )


def _detail(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    landed = [outcome for outcome in outcomes if outcome.effective]
    effective = sum(outcome.effective for outcome in outcomes)
    return {
        "effectiveKills": effective,
        "objects": len(landed) * len(OBJECTS),
        "byAction": dict(Counter(outcome.kill.action for outcome in landed)),
        "byKind": dict(Counter(outcome.kill.kind for outcome in landed)),
        "bySystemCall": dict(Counter(outcome.kill.at.name for outcome in landed if outcome.kill.at)),
        "twiceInARow": sum(outcome.effective > 1 for outcome in outcomes),
        "unfinishedTasksRunAgain": sum(outcome.again for outcome in outcomes),
        "notLanded": [str(outcome.kill) for outcome in outcomes if not outcome.effective],
        "killsPerMinute": round(60 * effective / seconds),
    }
