"""What one look at a prefix with many known keys costs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from bench.daemon import Daemon, serving
from bench.figure import Figure
from bench.flows import flow, trigger
from bench.process import cpu_seconds, peak_mebibytes, reset_peak
from bench.stage import BUCKET, Stage

_PREFIX = "poll/"
_PARTS = 10
# The two page caches of the journal, 4 MiB each, are filled by the larger prefix only; 2 MiB are noise.
_MEMORY_BUDGET = 10.0


def measure(stage: Stage) -> list[Figure]:
    """
    Let a trigger with ``action: NONE`` look by command at a prefix whose keys it knows, by turns with ``s5cmd ls``, and
    compare the memory that takes with that of a tenth of the keys.

    ``on: UPDATE`` makes the first look remember every key without taking the objects in.
    """
    keys = _fill(stage)
    part, whole = _Watcher(stage, "part", f"{_PREFIX}0/"), _Watcher(stage, "whole", _PREFIX)
    with part.knowing():
        stage.progress(f"poll of {keys // _PARTS} known keys")
        for _ in range(stage.sizes.rounds):
            part.look()
        least = peak_mebibytes(part.daemon.pid)
    with whole.knowing():
        stage.progress(f"poll of {keys} known keys, by turns with s5cmd ls")
        looks, peers = zip(*_turns(stage, whole), strict=True)
        most = peak_mebibytes(whole.daemon.pid)
    what = f"poll of {keys} known keys"
    peaks = (
        f"peaks: {least:.1f} and {most:.1f} MiB; the journal's page caches may take 8 MiB whatever the number of keys"
    )
    return [
        Figure(what, "s", tuple(wall for wall, _ in looks), peer=peers, peer_name="s5cmd ls", factor=0.5),
        Figure(f"{what}: CPU", "s", tuple(cpu for _, cpu in looks)),
        Figure("memory of that over a tenth of the keys", "MiB", (most - least,), budget=_MEMORY_BUDGET, note=peaks),
    ]


def _fill(stage: Stage) -> int:
    """Put the keys, in ten folders; gives their number."""
    folder = stage.fresh("poll")
    each = max(1, stage.sizes.keys // _PARTS)
    stage.progress(f"poll, putting {each * _PARTS} objects")
    for part in range(_PARTS):
        files = stage.fresh("poll", "objects", str(part))
        for number in range(each):
            (files / f"{number:06}").write_text("1")
    stage.prepare(folder, "cp", f"{folder}/objects/", f"s3://{BUCKET}/{_PREFIX}")
    return each * _PARTS


def _turns(stage: Stage, watcher: "_Watcher") -> Iterator[tuple[tuple[float, float], float]]:
    folder = stage.fresh("poll", "peer")
    for number in range(stage.sizes.rounds):
        theirs = stage.peer(folder, "ls", f"s3://{BUCKET}/{_PREFIX}*").wall if number % 2 else None
        ours = watcher.look()
        yield ours, theirs or stage.peer(folder, "ls", f"s3://{BUCKET}/{_PREFIX}*").wall


class _Watcher:
    """A daemon whose only trigger watches a prefix and looks at it when told."""

    def __init__(self, stage: Stage, name: str, prefix: str) -> None:
        watched = trigger(BUCKET, prefix, action="NONE", moveTo=None, on="UPDATE", interval="PT12H")
        self.name = f"bench/{name}/{watched['id']}"
        self.daemon = Daemon(stage, stage.fresh("poll", name), [flow(name, watched)])

    @contextmanager
    def knowing(self) -> Iterator[None]:
        """Run the daemon while the block lasts; it has seen every key."""
        with serving(self.daemon):
            self.daemon.until(self._last_look, "look", look_seconds=0.2)
            self.look()
            reset_peak(self.daemon.pid)
            yield

    def look(self) -> tuple[float, float]:
        """Look once; gives the seconds from the request to the recorded end of the look, and those of CPU."""
        before, cpu = self._last_look(), cpu_seconds(self.daemon.pid)
        begin = time.time()
        self.daemon.ask(f"triggers/{self.name}/poll", "POST")
        self.daemon.until(lambda: self._last_look() != before, "look", look_seconds=0.1)
        end = datetime.fromisoformat(self._last_look()).timestamp()
        return end - begin, cpu_seconds(self.daemon.pid) - cpu

    def _last_look(self) -> str:
        (found,) = self.daemon.ask("triggers")
        if found["state"] != "OK":
            raise RuntimeError(f"the trigger does not work: {found['problem']}")
        return str(found["lastPoll"] or "")
