"""How long after it was put an object's execution starts."""

import asyncio
import random
import time
from datetime import datetime
from pathlib import Path

from bench.daemon import Daemon, serving
from bench.figure import Figure
from bench.flows import flow, trigger
from bench.stage import BUCKET, Stage
from tidewaiter.triggers.aws import Clients

_PREFIX = "latency/"


def measure(stage: Stage) -> list[Figure]:
    """
    Put one object in each second, at a random moment of it; the daemon looks once in a second. A latency is the
    execution's ``startedAt`` less the moment the PUT was answered, by the same clock.
    """
    folder = stage.fresh("latency")
    daemon = Daemon(stage, folder, [flow("latency", trigger(BUCKET, _PREFIX, allowConcurrent=True))])
    with serving(daemon):
        stage.progress(f"latency, {stage.sizes.arrivals} objects, one in each second")
        daemon.until(lambda: daemon.ask("triggers")[0]["lastPoll"], "look", look_seconds=0.05)
        put = asyncio.run(_put(stage, folder))
        daemon.until(lambda: len(_started(daemon)) == len(put), "run every execution", look_seconds=0.2)
        started = _started(daemon)
    values = tuple(datetime.fromisoformat(started[key]).timestamp() - moment for key, moment in put.items())
    what = f"detection to start, interval 1 s, {len(values)} objects"
    return [
        Figure(f"{what}: p50", "s", values, budget=0.6),
        Figure(f"{what}: p99", "s", values, budget=1.2, quantile=0.99),
    ]


def _started(daemon: Daemon) -> dict[str, str]:
    """Give the start of each object's execution; two that came between the same looks share one."""
    ended = [item for item in daemon.executions() if item["state"] == "SUCCESS"]
    return {found["key"]: item["startedAt"] for item in ended for found in item["trigger"]["objects"]}


async def _put(stage: Stage, folder: Path) -> dict[str, float]:
    """Put the objects one after another; gives the moment of each PUT's answer by the clock of the wall."""
    chance = stage.chance("latency")
    source = folder / "object"
    source.write_bytes(chance.randbytes(1024))
    moments = {}
    async with Clients({}) as clients, clients(stage.store.connection, BUCKET) as bucket:
        begin = time.monotonic()
        for number, moment in enumerate(_moments(chance, stage.sizes.arrivals)):
            await asyncio.sleep(begin + number + moment - time.monotonic())
            key = f"{_PREFIX}{number:04}.bin"
            await bucket.upload(source, BUCKET, key)
            moments[key] = time.time()
    return moments


def _moments(chance: random.Random, number: int) -> list[float]:
    """
    Give *number* moments between 0 and 1, random and in random order, but one in each *number*-th part: chance must not
    decide whether objects come early or late in the second.
    """
    moments = [(part + chance.random()) / number for part in range(number)]
    chance.shuffle(moments)
    return moments
