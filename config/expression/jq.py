"""The ``jq`` filter (kestra.md §1.12), on the ``jq`` library, which is imported nowhere else."""

import functools
import itertools
import json
from typing import Any, Protocol

import jq

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.printing import to_json
from tidewaiter.config.expression.values import text_of

MAX_RESULTS = 100_000
"""A jq program may give this many results, so that an endless one ends."""

_PROGRAMS_KEPT = 128
# jq's env and $ENV would hand out the daemon's environment. The line break ends a comment in the author's program.
_WITHOUT_ENVIRONMENT = "def env: {{}}; {{}} as $ENV | (\n{program}\n)"


class _Results(Protocol):
    def __iter__(self) -> Any: ...


class _Program(Protocol):
    def input_text(self, text: str) -> _Results: ...


class Jq:
    """Runs jq programs, and keeps the most recent ones compiled (1.6 ms each)."""

    def __init__(self) -> None:
        self._compiled = functools.lru_cache(maxsize=_PROGRAMS_KEPT)(_compile)

    def __call__(self, subject: Any, expression: Any) -> list[Any]:
        """
        Give all results of the jq program *expression* on *subject*, as a list even if there is one.

        A string is read as JSON first. Null gives null's results.

        Raises:
            ExpressionError: the program cannot be compiled, fails, or gives too many results; the string is no JSON.
        """
        program = text_of(expression, "jq program")
        try:
            results = list(itertools.islice(self._compiled(program).input_text(_json(subject)), MAX_RESULTS + 1))
        except ValueError as error:
            raise ExpressionError(f"jq program '{program}' failed: {_first_line(error)}") from error
        if len(results) > MAX_RESULTS:
            raise ExpressionError(f"jq program '{program}' gives more than {MAX_RESULTS} results")
        return results


def _compile(program: str) -> _Program:
    if "\0" in program:
        raise ValueError("a NUL character in the program")
    compiled: _Program = jq.compile(_WITHOUT_ENVIRONMENT.format(program=program))
    return compiled


def _json(subject: Any) -> str:
    if not isinstance(subject, str):
        return to_json(subject)
    try:
        json.loads(subject)
    except (ValueError, RecursionError) as error:
        raise ExpressionError("jq reads a string as JSON, and this one is none", "put toJson before jq") from error
    return subject


def _first_line(error: ValueError) -> str:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[0].removeprefix("jq: ").strip()
