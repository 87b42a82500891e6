"""The ``jq`` filter (kestra.md §1.12), on the ``jq`` library, which only this module and `confined` import."""

import functools
import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jq

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.printing import to_json
from tidewaiter.config.expression.values import text_of

MAX_RESULTS = 100_000
"""A jq program may give this many results, so that an endless one ends."""

_MAX_PROGRAM = 10_000
_MAX_JSON = 4 * 1024 * 1024
_MAX_EASY_PROGRAM = 1000
_MAX_STEPS = 4_000_000
_MAX_DEPTH = 50
_FEW_STAGES = 6
_LEAST_SIZE = 16  # a text as short as this can grow, too
_PROGRAMS_KEPT = 128
# jq's env and $ENV would hand out the environment. The line break ends a comment in the author's program.
_WITHOUT_ENVIRONMENT = "def env: {{}}; {{}} as $ENV | (\n{program}\n)"

_AT_LINE = re.compile(r" at <top-level>, line (\d+), column \d+:?")

_TOKEN = re.compile(
    r"\s+|(?P<name>[a-z_][a-z_0-9]*)|\.[A-Za-z_]\w*|(?P<each>\[\]|\+)|(?P<opening>[(\[{])|(?P<closing>[)\]}])"
    r'|(?P<every>\.\.)|(?P<comma>,)|"(?:[^"\\]|\\[^(u])*"|-?\d{1,9}|[=!<>]=|//|[.|:?<>]'
)
_STEADY = re.compile(
    "select|not|and|or|length|keys|keys_unsorted|values|first|last|add|tonumber|type|has|in|sort|unique|min|max|reverse"
    "|floor|round|abs|ascii_downcase|ascii_upcase|startswith|endswith|ltrimstr|rtrimstr|split|fromjson|null|true|false"
    "|empty|error|strings|numbers|booleans|nulls|arrays|objects|scalars|iterables|todate|fromdate|if|then|elif|else|end"
)
_MULTIPLYING = re.compile(
    "map|map_values|to_entries|from_entries|with_entries|sort_by|group_by|unique_by|min_by|max_by|flatten|any|all"
    "|tostring|tojson|join|contains|inside"
)


class _Program(Protocol):
    def input_text(self, text: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A harmless program, which takes at most about ``size ** degree`` steps."""

    program: _Program
    degree: int


class Jq:
    """Runs jq programs, and keeps the most recent ones compiled (1.6 ms each); those that could run on are confined."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement
        self._compiled: Callable[[str], _Compiled | None] = functools.lru_cache(maxsize=_PROGRAMS_KEPT)(_compile)

    def __call__(self, subject: Any, expression: Any) -> list[Any]:
        """
        Give all results of the jq program *expression* on *subject*, as a list even if there is one.

        A string is read as JSON first. Null gives null's results.

        Raises:
            ExpressionError: the program cannot be compiled, fails, takes too long, or gives too many results; the
                string is no JSON.
        """
        program, text = text_of(expression, "jq program"), _json(subject)
        results: list[Any] = self._attempt(program, text)
        if len(results) > MAX_RESULTS:
            raise ExpressionError(f"jq program '{program}' gives more than {MAX_RESULTS} results")
        return results

    def check(self, expression: str) -> None:
        """Compile the program *expression*. Raises ExpressionError: it is none."""
        self._attempt(expression, None)

    def _attempt(self, program: str, text: str | None) -> Any:
        if len(program) > _MAX_PROGRAM:
            raise ExpressionError("jq program is too long")
        try:
            compiled = self._compiled(program)
            if compiled is None or (text and max(len(text), _LEAST_SIZE) ** compiled.degree > _MAX_STEPS):
                request = {"program": _wrapped(program), "text": text, "most": MAX_RESULTS + 1}
                return self._confinement.ask(request)
            return [] if text is None else list(itertools.islice(compiled.program.input_text(text), MAX_RESULTS + 1))
        except UnicodeError as error:
            raise ExpressionError(f"jq program '{program}' or its input is no Unicode text") from error
        except ValueError as error:
            raise ExpressionError(f"jq program '{program}' failed: {_reason(error, program)}") from error
        except ExpressionError as error:
            raise ExpressionError(f"jq program '{program}' {error.message}", error.hint) from error


def degree(program: str) -> int | None:
    """
    Tell how the steps of *program* grow with its input: at most with this power of the size; None: not easy to tell.

    Programs of paths, filters and functions that only look at their input are easy to tell. Each iteration may happen
    inside another one. Definitions, loops, variables, interpolation, regular expressions and most arithmetic are not.

    A stage of a pipe has all that the one before it gave, of ``size ** power`` at most, so that powers multiply: stages
    that go once over their input stay linear. What each adds by itself is little, but not for many of them.
    """
    at, before = 0, ""
    opened: list[str] = []
    stages = [0]
    if len(program) > _MAX_EASY_PROGRAM:
        return None
    while at < len(program):
        token = _TOKEN.match(program, at)
        if token is None:
            return None
        growth = _growth(token, opened, before)
        if growth is None or len(opened) > _MAX_DEPTH:
            return None
        at, before = token.end(), token[0] if token[0].strip() else before
        stages[-1] += growth
        if token[0] == "|" and not opened:
            stages.append(0)
    return math.prod(max(power, 1) for power in stages) if sum(stages) <= _FEW_STAGES else sum(stages)


def _growth(token: re.Match[str], opened: list[str], before: str) -> int | None:
    """Tell by how much one more *token* raises the power; *opened* are the brackets around it, kept up to date."""
    if token["opening"]:
        opened.append(token[0])
    elif token["closing"] and opened:
        opened.pop()
    in_map = opened[-1:] == ["{"]
    if token["name"] and not (in_map and before in {"{", ","}) and not _STEADY.fullmatch(token[0]):
        return 1 if _MULTIPLYING.fullmatch(token[0]) else None
    if token["comma"]:
        return 0 if in_map else 1
    return 2 if token["every"] else int(bool(token["each"]))


def _compile(program: str) -> _Compiled | None:
    power = degree(program)
    return None if power is None else _Compiled(jq.compile(_wrapped(program)), power)


def _wrapped(program: str) -> str:
    if "\0" in program:
        raise ValueError("a NUL character in the program")
    return _WITHOUT_ENVIRONMENT.format(program=program if program.strip() else ".")


def _json(subject: Any) -> str:
    if not isinstance(subject, str):
        return to_json(subject)
    if len(subject) > _MAX_JSON:
        raise ExpressionError("text is too long for jq", "work on big files in a script")
    try:
        json.loads(subject)
    except (ValueError, RecursionError) as error:
        raise ExpressionError("jq reads a string as JSON, and this one is none", "put toJson before jq") from error
    return subject


def _reason(error: ValueError, program: str) -> str:
    """Give the first line of jq's message, with the line of *program* it is about if there are several."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    found = _AT_LINE.search(lines[0])
    text = _AT_LINE.sub("", lines[0].removeprefix("jq: ").removeprefix("error: ")).strip()
    line, count = int(found[1]) - 1 if found else 0, program.count("\n") + 1
    if line > count:
        return "it is not complete"
    return f"{text} in line {line} of it" if line and count > 1 else text
