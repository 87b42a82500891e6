"""``make conformance``: how far Kestra's flows and expressions mean the same here. Prints one table."""

import argparse
import asyncio
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from conformance.corpus import CORPUS
from conformance.expressions import compared
from conformance.flows import loading, refusing, running
from conformance.outcome import Outcome, Parts, as_list, as_table, as_text

_PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; gives 1 if anything differs that is not on the list of known differences."""
    options = _parser().parse_args(arguments)
    if not CORPUS.is_dir():
        sys.stdout.write(f"SKIPPED: there is no corpus at {CORPUS}; set CONFORMANCE_CORPUS to its folder\n")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # Scripts find the Python that runs this, with the modules it has.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    parts: dict[str, Sequence[Outcome]] = {
        "expressions": compared(),
        "flows load": loading(),
        "flows refused": refusing(),
    }
    if not options.fast:
        parts["flows run"], parts["upstream expects"] = asyncio.run(running(options.only))
    sys.stdout.write(f"{as_text(parts)}\n")
    if options.write:
        _write(parts)
    return int(any(outcome.verdict == "failed" for outcomes in parts.values() for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="run no flows")
    parser.add_argument("--write", action="store_true", help="write the result into docs/compatibility.md")
    parser.add_argument("--only", metavar="TEXT", help="run only flows whose path has this text in it")
    return parser


def _write(parts: Parts) -> None:
    """Put the table and the known differences into the page about compatibility."""
    text = _PAGE.read_text(encoding="utf-8")
    for name, content in (("table", as_table(parts)), ("differences", as_list(parts))):
        text = re.sub(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{content}\n\g<2>", text, flags=re.DOTALL)
    _PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
