"""How fast many small objects are taken in: ours beside ``s5cmd cp`` and ``s5cmd mv`` of the same objects."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.daemon import Daemon
from bench.figure import Figure
from bench.flows import flow, trigger
from bench.process import cpu_seconds
from bench.stage import BUCKET, Stage

_BYTES = 1024
_BATCH = 100
_PEER = "s5cmd cp + mv"


@dataclass(frozen=True, slots=True)
class Taken:
    """One round in seconds: *wall* without and *whole* with the start of the program, and *cpu*."""

    wall: float
    whole: float
    cpu: float


def measure(stage: Stage) -> list[Figure]:
    """
    Take the same objects in by turns, ours first in every other round.

    Ours is counted from the log record ``ready`` to the end of the process: list, claim, download with SHA-256 and
    fsync, journal, copy, conditional delete, and an execution for each 100 objects. The peer's is counted from the
    start of ``s5cmd cp`` to the end of ``s5cmd mv``.
    """
    corpus = stage.fresh("intake", "corpus")
    digests = _write(stage, corpus)
    ours: list[Taken] = []
    peers: list[Taken] = []
    for number in range(stage.sizes.rounds):
        stage.progress(f"intake of {stage.sizes.objects} objects, round {number + 1} of {stage.sizes.rounds}")
        turns = [(_ours, ours), (_peers, peers)]
        for take, results in turns if number % 2 == 0 else turns[::-1]:
            results.append(take(stage, corpus, digests, number))
    return _figures(stage.sizes.objects, ours, peers)


def _figures(objects: int, ours: Sequence[Taken], peers: Sequence[Taken]) -> list[Figure]:
    return [
        Figure(
            f"intake of {objects} objects of 1 KB",
            "objects/s",
            tuple(objects / taken.wall for taken in ours),
            peer=tuple(objects / taken.wall for taken in peers),
            peer_name=_PEER,
            factor=1.0,
            more_is_better=True,
            note="ours from 'ready' to the end of the process, executions included",
        ),
        Figure(
            "the same, start of the program included",
            "objects/s",
            tuple(objects / taken.whole for taken in ours),
            peer=tuple(objects / taken.whole for taken in peers),
            peer_name=_PEER,
            more_is_better=True,
        ),
        Figure(
            "the same, CPU of the program per object",
            "ms",
            tuple(1000 * taken.cpu / objects for taken in ours),
            peer=tuple(1000 * taken.cpu / objects for taken in peers),
            peer_name=_PEER,
            note="ours from 'ready'; the store's own CPU is not counted on either side",
        ),
    ]


def _write(stage: Stage, corpus: Path) -> Counter[str]:
    chance = stage.chance("intake")
    contents = [chance.randbytes(_BYTES) for _ in range(stage.sizes.objects)]
    for number, content in enumerate(contents):
        (corpus / f"{number:06}.bin").write_bytes(content)
    return Counter(hashlib.sha256(content).hexdigest() for content in contents)


def _ours(stage: Stage, corpus: Path, digests: Counter[str], number: int) -> Taken:
    prefix = f"intake/ours/round-{number}/"
    folder = stage.fresh("intake", "ours", f"round-{number}")
    stage.prepare(folder, "cp", f"{corpus}/", f"s3://{BUCKET}/{prefix}")
    watched = trigger(BUCKET, prefix, maxKeys=_BATCH, maxFiles=_BATCH, allowConcurrent=True)
    daemon = Daemon(stage, folder, [flow("intake", watched)], ["--once"])
    try:
        starting = daemon.start()
        before = cpu_seconds(daemon.pid)
        ended = daemon.ended()
    finally:
        daemon.stop()
    _check(stage, folder, prefix)
    _check_contents(daemon.state / "storage", "data.bin", digests)
    return Taken(ended.wall - starting, ended.wall, ended.cpu - before)


def _peers(stage: Stage, corpus: Path, digests: Counter[str], number: int) -> Taken:
    prefix = f"intake/peer/round-{number}/"
    folder = stage.fresh("intake", "peer", f"round-{number}")
    stage.prepare(folder, "cp", f"{corpus}/", f"s3://{BUCKET}/{prefix}")
    source = f"s3://{BUCKET}/{prefix}*"
    copied = stage.peer(folder, "cp", source, f"{folder}/taken/")
    moved = stage.peer(folder, "mv", source, f"s3://{BUCKET}/archive/{prefix}")
    _check(stage, folder, prefix)
    _check_contents(folder / "taken", "*.bin", digests)
    wall = copied.wall + moved.wall
    return Taken(wall, wall, copied.cpu + moved.cpu)


def _check(stage: Stage, folder: Path, prefix: str) -> None:
    """Everything is archived and nothing is left: a round that did less than its work does not count."""
    left = len(stage.prepare(folder, "ls", f"s3://{BUCKET}/{prefix}*"))
    archived = len(stage.prepare(folder, "ls", f"s3://{BUCKET}/archive/{prefix}*"))
    if left or archived != stage.sizes.objects:
        raise RuntimeError(f"{prefix}: {left} objects left, {archived} of {stage.sizes.objects} archived")


def _check_contents(folder: Path, pattern: str, digests: Counter[str]) -> None:
    found = Counter(hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob(pattern))
    if found != digests:
        raise RuntimeError(f"{folder} does not hold every object exactly once")
