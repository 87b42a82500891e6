"""``make conformance``: how far Kestra's flows and expressions mean the same here. Prints one table."""

import argparse
import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from conformance.corpus import CORPUS
from conformance.expressions import compared
from conformance.flows import loading, refusing, running
from conformance.outcome import Outcome

_VERDICTS = ("passed", "failed", "differs", "outside")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; gives 1 if anything differs that is not on the list of known differences."""
    options = _parser().parse_args(arguments)
    if not CORPUS.is_dir():
        sys.stdout.write(f"SKIPPED: there is no corpus at {CORPUS}; set TIDEWAITER_CORPUS to its folder\n")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # Scripts find the Python that runs this, with the modules it has.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    parts = {"expressions": compared(), "flows load": loading(), "flows refused": refusing()}
    if not options.fast:
        parts["flows run"], parts["upstream expects"] = asyncio.run(running(options.only))
    _print(parts.items())
    return int(any(outcome.verdict == "failed" for outcomes in parts.values() for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="run no flows")
    parser.add_argument("--only", metavar="TEXT", help="run only flows whose path has this text in it")
    return parser


def _print(parts: Iterable[tuple[str, Sequence[Outcome]]]) -> None:
    say = sys.stdout.write
    say(f"{'':18}{'passed':>8}{'failed':>8}{'differs':>8}{'outside':>8}{'agreement':>11}\n")
    reasons: Counter[tuple[str, str, str]] = Counter()
    failed: list[str] = []
    for name, outcomes in parts:
        counts = Counter(outcome.verdict for outcome in outcomes)
        judged = sum(counts.values()) - counts["outside"]
        share = f"{counts['passed'] / judged:.1%}" if judged else "-"
        say(f"{name:18}" + "".join(f"{counts[verdict]:>8}" for verdict in _VERDICTS) + f"{share:>11}\n")
        reasons.update((name, o.verdict, o.reason) for o in outcomes if o.verdict in {"differs", "outside"})
        failed += [f"{name}: {o.case}: {o.reason}" for o in outcomes if o.verdict == "failed"]
    say("\n")
    for (name, verdict, reason), number in sorted(reasons.items()):
        say(f"{name}, {verdict}: {number:3} {reason}\n")
    for line in failed:
        say(f"FAILED {line}\n")


if __name__ == "__main__":
    sys.exit(main())
