"""An fsync that fails: whatever it was for, nothing may be acknowledged on it, and it must not be asked again."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, contents, first, scene

_POINTS = {Scale.SHORT: (2, 7, 12), Scale.FULL: range(1, 61), Scale.LONG: range(1, 400)}
_CALLS = ("fsync", "fdatasync")
_AT_ONCE = 3
_REASONS = ("did not confirm", "disk I/O error")  # the second where it fails at the start
_OBJECTS = 2


@dataclass(frozen=True, slots=True)
class _Failed:
    """What came of the *number*-th *call* of a thread that failed, if there was one (*effective*)."""

    call: str
    number: int
    effective: bool
    violations: list[str]


async def sync(setting: Setting) -> list[Figure]:
    """
    Let the k-th fsync fail with EIO, and only that one: the process ends with an error and does nothing more to the
    bucket; the next start loses nothing and does nothing twice.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def limited(call: str, number: int) -> _Failed:
        async with slots:
            return await _failed(setting, call, number)

    points = [(call, number) for call in _CALLS for number in _POINTS[setting.scale]]
    tried = await asyncio.gather(*(limited(*point) for point in points))
    effective = Counter(item.call for item in tried if item.effective)
    wrong = [f"{item.call} {item.number}: {violation}" for item in tried for violation in item.violations]
    return [
        Figure(
            "fsync fails with EIO at the k-th call",
            "the process ends, 0 acknowledged and lost",
            f"{len(wrong)} violations at {effective.total()} calls that failed",
            met=not wrong and effective.total() > 0,
            detail={"failed": dict(effective), "violations": first(wrong)},
        )
    ]


async def _failed(setting: Setting, call: str, number: int) -> _Failed:
    put = contents(_OBJECTS, f"{call} {number}")
    async with scene(setting, "sync", **QUICK) as place:
        await place.fill(put)
        place.watch(maxKeys=1, maxFiles=1)
        trace = place.daemon.folder / "trace"
        injected = f"--inject={call}:error=EIO:when={number}"
        place.daemon.start("--once", under=["strace", "-f", "-qq", "-o", str(trace), f"--trace={call}", injected])
        code = await place.daemon.ended(120)
        calls = trace.read_text().count("(INJECTED)")
        wrong = [] if (code == 0) is (calls == 0) else [f"exit code {code} after {calls} calls failed"]
        told = place.daemon.last_words()
        if calls and not any(reason in told for reason in _REASONS):
            wrong.append(f"the reason is not told: {told[-200:]}")
        return _Failed(call, number, calls > 0, [*wrong, *await _on_a_sound_disk(place, put)])


async def _on_a_sound_disk(place: Scene, put: Mapping[str, bytes]) -> list[str]:
    """
    Start again, and compare. A task whose result could not be recorded is run once more, as after a crash
    (reliability.md §3.7, R5): its line may be in the ledger twice.
    """
    place.daemon.start()
    await place.daemon.ready()
    completed = await place.settled(seconds=60)
    wrong = [item for item in await place.violations(put) if not item.startswith("processed too often")]
    executions = len(await place.daemon.executions())
    return [
        *wrong,
        *([] if completed else ["it did not complete"]),
        *([f"{executions} executions"] if executions != len(put) else []),
    ]
