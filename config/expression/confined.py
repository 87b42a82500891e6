"""
The process in which jq programs and regular expressions run that could run on (reliability.md §4.2).

It is started as a script, never imported: a line of JSON in, a line of JSON out. Memory is limited once, time for each
request by an alarm that ends the process, also in the middle of C code. Nothing of the daemon is loaded or inherited.
"""

import functools
import itertools
import json
import re
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

import jq

SECONDS = 1.0
MEMORY = 512 * 1024 * 1024


def main() -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        answer = json.dumps(_answer(json.loads(line)))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def _answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return {"answer": _results(request) if "program" in request else _matches(request)}
    except (ValueError, re.error, OverflowError, RecursionError) as error:
        return {"error": str(error)}


def _results(request: Mapping[str, Any]) -> list[Any]:
    program = _compiled(request["program"])
    if request["text"] is None:
        return []
    return list(itertools.islice(program.input_text(request["text"]), request["most"]))


@functools.lru_cache(maxsize=128)
def _compiled(program: str) -> Any:
    return jq.compile(program)


def _matches(request: Mapping[str, Any]) -> list[list[tuple[int, int]]]:
    pattern, text = re.compile(request["pattern"]), request["text"]
    found = filter(None, [pattern.fullmatch(text)]) if request["whole"] else pattern.finditer(text)
    return [
        [match.span(group) for group in range(pattern.groups + 1)] for match in itertools.islice(found, request["most"])
    ]


if __name__ == "__main__":
    main()
