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
    How many kills of each action: at points (at least; *every* point once, too), inside tasks, twice in a row, and of
    a daemon started by ``execve``. *wanted* is how many must have ended a daemon, of all actions together.
    """

    points: int
    inside: int
    twice: int
    executed: int
    wanted: int
    every: bool = False


EFFORTS = {
    Scale.SHORT: Effort(points=2, inside=1, twice=1, executed=0, wanted=12),
    Scale.FULL: Effort(points=500, inside=8, twice=40, executed=20, wanted=2000, every=True),
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
            outcomes = await place.all(_at_any_time(place), enough=lambda _: time.monotonic() > end)
            wanted = len(outcomes)
        else:
            effort = EFFORTS[setting.scale]
            kills = [kill for action in ACTIONS for kill in await _kills(place, action, effort)]
            place.chance.shuffle(kills)
            outcomes = await place.all(kills)
            wanted = effort.wanted
    return _figures(outcomes, wanted, time.monotonic() - begin)


async def _kills(place: Rig, action: str, effort: Effort) -> list[Kill]:
    """Choose the kills of one action: evenly, and by chance where more are wanted than there are points."""
    points = await place.points(action)
    at = spread(points, len(points) if effort.every else effort.points)
    at += some(points, max(0, effort.points - len(at)), place.chance)
    twice = zip(some(points, effort.twice, place.chance), some(points, effort.twice, place.chance), strict=True)
    executed = await place.points(action, executed=True) if effort.executed else []
    return [
        *(Kill(action, at=point) for point in at),
        *(Kill(action, inside=place.chance.choice(MOMENTS)) for _ in range(effort.inside)),
        *(Kill(action, at=first, again=second) for first, second in twice),
        *(Kill(action, at=point, executed=True) for point in spread(executed, effort.executed)),
    ]


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
