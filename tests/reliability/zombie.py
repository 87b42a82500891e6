"""A daemon that is stopped in the middle of a request and wakes up late, and a request that outlives its daemon."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass

from faults.late import Late
from faults.proxy import Meant, is_copy, is_delete, is_get
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, first, md5, scene, sha256

_ROUNDS = {Scale.SHORT: 1, Scale.FULL: 20, Scale.LONG: 200}
_KEY = "raw/a.csv"
_OLD, _NEW = b"the first content", b"the second content, longer"
_READ_SECONDS = 1
_SETTINGS = QUICK | {"TIDEWAITER_RETRY__READ_TIMEOUT": f"PT{_READ_SECONDS}S"}
_STEPS: dict[str, Callable[[str], Meant]] = {"GET": is_get, "COPY": is_copy, "DELETE": is_delete}


@dataclass(frozen=True, slots=True)
class _Case:
    """
    What is in flight. *killed*: the daemon dies and another one does its work; else it is stopped and wakes up, *after*
    the request has reached the store or before.
    """

    step: str
    killed: bool = False
    after: bool = False

    def __str__(self) -> str:
        when = "its daemon was killed" if self.killed else f"it woke up {'after' if self.after else 'before'}"
        return f"{self.step}, {when}"


_CASES = [_Case(step, after=after) for step in _STEPS for after in (True, False)]
_CASES += [_Case(step, killed=True) for step in ("COPY", "DELETE")]


async def zombie(setting: Setting) -> list[Figure]:
    """
    Overwrite an object while a request about it is held longer than any timeout: whatever was read is processed and
    archived, what replaced it too, and the late request destroys nothing.
    """
    wrong: list[str] = []
    statuses: dict[str, int] = {}
    for _ in range(_ROUNDS[setting.scale]):
        for case, (violations, status) in zip(
            _CASES, await asyncio.gather(*(_round(setting, case) for case in _CASES)), strict=True
        ):
            statuses[f"{case}: {status}"] = statuses.get(f"{case}: {status}", 0) + 1
            wrong += (f"{case}: {violation}" for violation in violations)
    rounds = _ROUNDS[setting.scale] * len(_CASES)
    return [
        Figure(
            "zombies and late requests",
            "no content lost, none twice",
            f"{len(wrong)} violations in {rounds}",
            met=not wrong,
            detail={"seed": setting.seed, "late requests and their status": statuses, "violations": first(wrong)},
        )
    ]


async def _round(setting: Setting, case: _Case) -> tuple[list[str], int]:
    async with scene(setting, "zombie", **_SETTINGS) as place:
        await place.objects.put(_KEY, _OLD)
        late = Late(place.proxy, _STEPS[case.step](_KEY))
        place.proxy.rules.append(late)
        place.watch(interval="PT0.2S")
        place.daemon.start()
        await place.daemon.until(late.reached.is_set, "the request to hold")
        wrong = await _killed(place, late) if case.killed else await _stopped(place, late, case)
        # What was replaced before it was read is gone by S3's own rules.
        expected = {_NEW} if case.step == "GET" else {_OLD, _NEW}
        completed = await place.settled(seconds=30)
        wrong += await _violations(place, expected)
        return [*wrong, *(() if completed else ("it did not complete",))], late.status


async def _stopped(place: Scene, late: Late, case: _Case) -> list[str]:
    process = place.daemon.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    await place.objects.put(_KEY, _NEW)
    if case.after:
        await late.arrive()
    # Not a wait for a result: it is to sleep through its own timeouts.
    await asyncio.sleep(1.5 * _READ_SECONDS)
    process.send_signal(signal.SIGCONT)
    if not case.after:
        await place.daemon.ready()
        await place.daemon.until_looked()
        await late.arrive()
    return []


async def _killed(place: Scene, late: Late) -> list[str]:
    """Another daemon finishes; then new content comes to the key, and only then does the request arrive."""
    place.daemon.kill()
    code = await place.daemon.once()
    await place.objects.put(_KEY, _NEW)
    await late.arrive()
    destroyed = await place.etags("raw/") != {_KEY: md5(_NEW)}
    place.daemon.start()
    await place.daemon.ready()
    return [
        *([f"the next daemon ended with {code}"] if code else []),
        *(["the late request of a dead daemon destroyed new content"] if destroyed else []),
    ]


async def _violations(place: Scene, expected: set[bytes]) -> list[str]:
    processed = sorted(place.daemon.done())
    archived = sorted([await place.objects.get(key) for key in await place.archive()])
    return [
        *([f"processed {len(processed)} contents"] if processed != sorted(map(sha256, expected)) else []),
        *([f"archived {archived}"] if archived != sorted(expected) else []),
    ]
