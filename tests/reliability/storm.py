"""A storm: a share of all requests fails, in every way there is, for as long as it takes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faults.storm import Storm
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, contents, first, scene

_OBJECTS = {Scale.SHORT: 40, Scale.FULL: 2000, Scale.LONG: 10_000}
_ALL = {"MOVE": (0.05, 0.2, 0.5), "DELETE": (0.2,)}
_LEVELS = {Scale.SHORT: {"MOVE": (0.2,)}, Scale.FULL: _ALL, Scale.LONG: _ALL}
_PER_EXECUTION = 25
_STALL_SECONDS = 3.0
_SECONDS_PER_OBJECT = 1.0
_LIMITED = 0.05
_LIMIT = 1.3


@dataclass(frozen=True, slots=True)
class _Weather:
    """One run: at what *level* (0: calm), with which *action*."""

    level: float
    action: str = "MOVE"

    @property
    def properties(self) -> Mapping[str, Any]:
        move_to = {"key": "archive/"} if self.action == "MOVE" else None
        return {
            "action": self.action,
            "moveTo": move_to,
            "maxKeys": _PER_EXECUTION,
            "maxFiles": _PER_EXECUTION,
            "allowConcurrent": True,
        }

    def __str__(self) -> str:
        return f"{self.level:.0%}, {self.action}"


@dataclass(frozen=True, slots=True)
class _Passed:
    completed: bool
    violations: list[str]
    calls: int
    seconds: float
    injected: Mapping[str, int]


async def storm(setting: Setting) -> list[Figure]:
    """
    Take in many small objects while a share of the requests fails: none lost, none twice, and it completes.

    At 5 % it must cost at most 1.3 times the calls of a run without faults.
    """
    number = _OBJECTS[setting.scale]
    figures = []
    for action, levels in _LEVELS[setting.scale].items():
        calm = await _pass(setting, _Weather(0.0, action), number)
        for level in levels:
            passed = await _pass(setting, _Weather(level, action), number)
            figures.append(_figure(setting, _Weather(level, action), number, calm, passed))
    return figures


async def _pass(setting: Setting, weather: _Weather, number: int) -> _Passed:
    put = contents(number, f"storm {weather}")
    async with scene(setting, "storm", **QUICK) as place:
        await place.fill(put)
        place.watch(**weather.properties)
        rule = Storm(place.proxy, setting.seed, weather.level, stall_seconds=_STALL_SECONDS)
        place.proxy.rules.append(rule)
        began = time.monotonic()
        place.daemon.start()
        await place.daemon.ready()
        completed = await place.done(number, seconds=60 + number * _SECONDS_PER_OBJECT)
        return _Passed(
            completed,
            await place.violations(put, archived=weather.action == "MOVE"),
            calls=len(place.proxy.requests),
            seconds=time.monotonic() - began,
            injected=rule.told(),
        )


def _figure(setting: Setting, weather: _Weather, number: int, calm: _Passed, passed: _Passed) -> Figure:
    factor = passed.calls / calm.calls
    limited = weather.level == _LIMITED
    wrong = [*passed.violations, *calm.violations, *(() if passed.completed else ("it did not complete",))]
    limit = f", <= {_LIMIT} x the calls" if limited else ""
    return Figure(
        f"fault storm, {weather}, {number} objects",
        f"0 lost, 0 doubled, completes{limit}",
        f"{len(wrong)} violations, {factor:.2f} x the calls ({passed.calls / number:.2f} per object)",
        met=not wrong and (factor <= _LIMIT or not limited) and sum(passed.injected.values()) > 0,
        detail={
            "seed": setting.seed,
            "objects": number,
            "calls": passed.calls,
            "calls without faults": calm.calls,
            "seconds": round(passed.seconds, 1),
            "seconds without faults": round(calm.seconds, 1),
            "injected": dict(passed.injected),
            "violations": first(wrong),
        },
    )
