"""Renders Kestra expressions: Pebble's grammar with Kestra's filters and functions (kestra.md §1.12)."""

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.budget import Budget, Limits
from tidewaiter.config.expression.compiler import Compiler, Program
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.dates import Dates
from tidewaiter.config.expression.filters import FILTERS
from tidewaiter.config.expression.filters.patterns import Patterns
from tidewaiter.config.expression.functions import FUNCTIONS
from tidewaiter.config.expression.grammar import Names
from tidewaiter.config.expression.java_regex import JavaRegex
from tidewaiter.config.expression.jq import Jq
from tidewaiter.config.expression.members import attribute
from tidewaiter.config.expression.operators import OPERATIONS
from tidewaiter.config.expression.parser import parse
from tidewaiter.config.expression.place import MisplacedError, located
from tidewaiter.config.expression.runtime import SEVERAL, TABLE, Library, Run, Scope
from tidewaiter.config.expression.values import Undefined, elements

HOST_FUNCTIONS = (
    "secret",
    "read",
    "kv",
    "fileSize",
    "fileExists",
    "fileURI",
    "isFileEmpty",
    "errorLogs",
    "tasksWithState",
)
"""Kestra's functions that need more than variables; the scope provides them, or they are not available."""

_NO_CIPHER = "keep what is confidential in a secret, and read it with secret()"
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "http": "make the request in a task of type io.kestra.plugin.core.http.Request",
        "encrypt": _NO_CIPHER,
        "decrypt": _NO_CIPHER,
        "credential": "read it with secret()",
        "subflow": "start it in a task of type io.kestra.plugin.core.flow.Subflow",
    }
)

MAX_SOURCE = 1024 * 1024
"""Characters of a template; a longer text belongs into a file."""

_MAX_RENDERINGS = 100
_PROGRAMS_KEPT = 512
_MAX_KEPT = 64 * 1024  # characters of a source whose program is kept


def utc_now() -> datetime:
    """Read the system's clock."""
    return datetime.now(UTC)


class Expressions:
    """
    An expression engine. Instances share nothing; one keeps the programs it has compiled. Threads may share it.

    *functions* names the host functions a template may call, *zone* is the time zone of dates without one,
    *limits* what a rendering may spend, *now* the clock behind ``now()``.
    """

    def __init__(
        self,
        functions: Iterable[str] = HOST_FUNCTIONS,
        *,
        zone: tzinfo = UTC,
        limits: Limits | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        dates = Dates(zone, now)
        self._limits = limits or Limits()
        confinement = Confinement()
        patterns, jq = Patterns(JavaRegex(confinement)), Jq(confinement)
        self._library = Library(
            filters={**FILTERS, **dates.filters(), **patterns.filters(), "jq": jq},
            functions={**FUNCTIONS, **dates.functions(), **self._rendering()},
            operations={**OPERATIONS, **patterns.operations()},
            text_methods=patterns.text_methods(),
        )
        self._names = Names(
            self._library.filters,
            self._library.functions,
            rendering=frozenset(self._rendering()),
            host=frozenset(functions),
            refused=_REFUSED,
            programs={"jq": jq.check},
        )
        self._compiler = Compiler(TABLE)
        self._kept = functools.lru_cache(maxsize=_PROGRAMS_KEPT)(self._compile)

    def check(self, source: str) -> None:
        """
        Make sure *source* can be parsed and calls only what exists. Variables are not looked up.

        Raises:
            ExpressionError: it cannot, with the place of the first mistake.
        """
        self._program(source)

    def render(self, source: str, scope: Scope) -> str:
        """
        Replace every expression in *source* by its text. What expressions give is data and is not rendered again,
        unless the *scope* is recursive.

        Raises:
            ExpressionError: with the expression, its place and the variable or filter that failed.
        """
        if "{" not in source:
            return source
        run = self._start(scope)
        return str(self._settled(run, self._run(source, run)))

    def evaluate(self, source: str, scope: Scope) -> Any:
        """
        Like `render`, but when *source* is one expression and nothing else, give its value with its type.

        Raises:
            ExpressionError: as `render`.
        """
        if "{" not in source:
            return source
        run = self._start(scope)
        rendered = self._run(source, run)
        return self._settled(run, rendered if run.only is SEVERAL else run.only)

    def _settled(self, run: Run, rendered: Any) -> Any:
        """Render again in a recursive scope, else give *rendered* back."""
        if not run.scope.recursive:
            return rendered
        try:
            return run.restored(self._render_again(run, rendered))
        except RecursionError as error:
            raise ExpressionError("value is nested too deeply to be rendered recursively") from error

    def _start(self, scope: Scope) -> Run:
        return Run(scope, self._library, Budget.of(self._limits))

    def _program(self, source: str) -> Program:
        return self._kept(source) if len(source) <= _MAX_KEPT else self._compile(source)

    def _compile(self, source: str) -> Program:
        if len(source) > MAX_SOURCE:
            raise ExpressionError(f"template is longer than {MAX_SOURCE} characters", "put the text into a file")
        try:
            return self._compiler.compile(parse(source, self._names))
        except MisplacedError as error:
            raise located(ExpressionError(error.message, error.hint), source, error.offset) from error
        except RecursionError as error:
            raise ExpressionError("template is nested too deeply") from error

    def _run(self, source: str, run: Run) -> str:
        program = self._program(source)
        try:
            return program.run(run)
        except ExpressionError as error:
            raise located(error, source, program.offset(error.__traceback__)) from error
        except (RecursionError, MemoryError) as error:
            raise located(ExpressionError("value is nested too deeply or too big"), source, 0) from error
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            failure = ExpressionError(f"cannot be evaluated: {error}")
            raise located(failure, source, program.offset(error.__traceback__)) from error

    def _rendering(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "render": self._render_again,
            "renderOnce": self._render_once,
            "printContext": _variables,
            "fetchContext": _variables,
            "currentEachOutput": _current_each_output,
        }

    def _render_again(self, run: Run, to_render: Any, recursive: Any = True) -> Any:  # noqa: FBT002 - Kestra's argument
        """Render the strings of *to_render*, and what comes out again until it no longer changes."""
        rendered = self._rendered(run, to_render)
        for _ in range(_MAX_RENDERINGS if recursive else 0):
            if rendered == to_render:
                return rendered
            to_render, rendered = rendered, self._rendered(run, rendered)
        if recursive:
            raise ExpressionError("too many rendering attempts", "do the variables refer to each other?")
        return rendered

    def _render_once(self, run: Run, to_render: Any) -> Any:
        return self._rendered(run, to_render)

    def _rendered(self, run: Run, value: Any) -> Any:
        run.budget.spend_round()
        if isinstance(value, str):
            if "{" not in value:
                return value
            with run.budget.nested():
                return self._run(value, run.inner())
        if isinstance(value, Mapping):
            return {self._rendered(run, key): self._rendered(run, item) for key, item in value.items()}
        if isinstance(value, list | tuple | set):
            return [self._rendered(run, item) for item in value]
        return value


def _variables(run: Run) -> dict[str, Any]:
    return run.variables()


def _current_each_output(run: Run, outputs: Any) -> Any:
    """
    Give the part of a looped task's *outputs* that belongs to the values of the loops around the current task. A task
    around it that is no loop has the value of the loop it is in, under which nothing more is to be found.
    """
    taskrun, parents = run.variable("taskrun"), run.variable("parents")
    around = [] if isinstance(parents, Undefined) else elements(parents)
    runs = [*(attribute(parent, "taskrun", "parents.taskrun") for parent in reversed(around)), taskrun]
    found = outputs
    for value in [attribute(one, "value", "taskrun.value") for one in runs if one is not None]:
        found = found[value] if isinstance(found, Mapping) and value in found else found
    if found is outputs:
        raise ExpressionError("there are no outputs for the values of the loops around this task")
    return found
