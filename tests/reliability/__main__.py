"""``make reliability``: run the experiments, print the table, write docs/reliability.json and docs/reliability.md."""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from reliability import (
    broken,
    crash,
    disk,
    hostile_keys,
    lost_replies,
    model,
    overwrites,
    restart,
    schedules,
    second_daemon,
    storm,
    sync,
    weak_store,
    zombie,
)
from reliability.experiment import Experiment, Scale, Setting
from reliability.results import Result, Results, as_text
from stores.seaweedfs import seaweedfs

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "crash": crash.crash,
        "broken": broken.broken,
        "model": model.model,
        "schedules": schedules.schedules,
        "storm": storm.storm,
        "lost-replies": lost_replies.lost_replies,
        "overwrites": overwrites.overwrites,
        "weak-store": weak_store.weak_store,
        "zombie": zombie.zombie,
        "second-daemon": second_daemon.second_daemon,
        "disk": disk.disk,
        "sync": sync.sync,
        "restart": restart.restart,
        "hostile-keys": hostile_keys.hostile_keys,
    }
)
_log = logging.getLogger("reliability")
_OUTPUT = Path(__file__).parents[2] / "docs" / "reliability.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; gives 1 if a figure is not met, also one of an earlier run that is kept."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="reliability: %(message)s")
    _log.setLevel(logging.INFO)
    # The proxy is shut while requests of a killed daemon are still on their way: no error of anybody's.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # Ended from outside it must end what it has started, as it does at Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results.load(options.output) if options.resume or options.only else Results()
    seed = options.seed if options.seed is not None else _seed(results if options.resume else Results())
    for name in options.only or EXPERIMENTS:
        if options.resume and results.has(name, options.scale, seed):
            _log.info("%s: there already", name)
            continue
        result = asyncio.run(_carry_out(name, options.scale, seed, options.hours))
        results = results.with_(name, result)
        results.save(options.output)
    sys.stdout.write(as_text(results) + "\n")
    return 0 if results.met else 1


async def _carry_out(name: str, scale: Scale, seed: int, hours: float) -> Result:
    """Run one experiment on a store and in a folder of its own."""
    _log.info("%s: %s, seed %d", name, scale.value, seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidewaiter-reliability-") as folder:
        place = Path(folder)
        with seaweedfs(place / "store") as store:
            figures = await EXPERIMENTS[name](Setting(scale, seed, place / "work", store, hours))
    seconds = time.monotonic() - begin
    missed = [figure.name for figure in figures if not figure.met]
    _log.info("%s: %d figures in %.0f s%s", name, len(figures), seconds, f"; NOT MET: {missed}" if missed else "")
    return Result(seed, scale, round(seconds), tuple(figures))


def _seed(results: Results) -> int:
    """Go on with the seed of *results*, or take a new one."""
    known = [result.seed for result in results.experiments.values()]
    return known[0] if known else random.SystemRandom().randrange(1 << 32)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reliability", description="Prove the custody of every object.")
    parser.add_argument("--scale", type=Scale, default=Scale.FULL, help="short, full or long [full]")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--seed", type=int, help="of kills, faults and schedules [random, printed]")
    parser.add_argument("--hours", type=float, default=1.0, help="how long each experiment goes on at --scale long [1]")
    parser.add_argument("--resume", action="store_true", help="skip what the output has of this scale and seed")
    parser.add_argument("--output", type=Path, default=_OUTPUT, metavar="FILE", help="[docs/reliability.json]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
