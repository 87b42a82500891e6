"""One rendering: its variables, what it may still spend, and the functions and filters it may call."""

import builtins
import functools
import keyword
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tidewaiter.config.errors import ExpressionError, TidewaiterError
from tidewaiter.config.expression.members import attribute, method
from tidewaiter.config.expression.operators import OPERATIONS
from tidewaiter.config.expression.printing import printed
from tidewaiter.config.expression.values import Undefined, defined, elements, kind

MAX_CALLS = 12
"""How deep macros and ``render()`` may call each other."""

SEVERAL: Final = object()

_LOOP_HINT = "work on long lists with jq() or in a script"

_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Scope:
    """
    What an expression can see.

    *variables* are plain data: maps, lists, strings, numbers, booleans, null, dates. *functions* are the host's own,
    such as ``secret`` and ``read``. A function gets the arguments of the expression, named ones in snake case
    (``errorOnMissing`` as ``error_on_missing``), and gives plain data back.
    """

    variables: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rendering may spend: characters of output, and rounds of all its loops together and seconds for them."""

    output: int = 16 * 1024 * 1024
    rounds: int = 100_000
    seconds: float = 10.0


@dataclass(slots=True)
class Budget:
    """What a rendering and those nested in it have left."""

    output: int
    rounds: int
    deadline: float
    calls: int = MAX_CALLS

    @classmethod
    def of(cls, limits: Limits) -> "Budget":
        """Start to spend *limits*."""
        return cls(limits.output, limits.rounds, time.monotonic() + limits.seconds)

    def spend_output(self, characters: int) -> None:
        """Take *characters* off, or fail."""
        self.output -= characters
        if self.output < 0:
            raise ExpressionError("output is too long", "pass big contents as files, not through expressions")

    def spend_round(self) -> None:
        """Take one round of a loop off, or fail."""
        self.rounds -= 1
        if self.rounds < 0:
            raise ExpressionError("too many rounds of loops", _LOOP_HINT)
        if time.monotonic() > self.deadline:
            raise ExpressionError("loops take too long", _LOOP_HINT)


class Run:
    """
    The state of one rendering. *only* is the value of the one thing written so far, `SEVERAL` after more than one.

    Variables live in a chain of scopes, the innermost first, as in Pebble: ``set`` changes a variable where it is, and
    makes a new one in the innermost scope.
    """

    def __init__(
        self,
        scope: Scope,
        filters: Mapping[str, Callable[..., Any]],
        functions: Mapping[str, Callable[..., Any]],
        budget: Budget,
    ) -> None:
        self.scope = scope
        self.budget = budget
        self.only: Any = ""
        self._wrote = False
        self._macros: dict[str, tuple[Callable[[], str], Sequence[str]]] = {}
        self._filters = filters
        self._functions = functions
        self._scopes: list[dict[str, Any]] = [{}]
        self._outer: Mapping[str, Any] = scope.variables

    def text(self, data: str) -> str:
        """Write the literal text *data*."""
        self.budget.spend_output(len(data))
        self.only = SEVERAL if self._wrote else data
        self._wrote = True
        return data

    def show(self, value: Any) -> str:
        """Write *value* as a template prints it."""
        text = self.text(printed(defined(value)))
        if self.only is text:
            self.only = value
        return text

    def variable(self, name: str) -> Any:
        """Look *name* up in the scopes and then in the variables given to the rendering."""
        for variables in reversed(self._scopes):
            if name in variables:
                return variables[name]
        if name in self._outer:
            return self._outer[name]
        return Undefined(name, tuple(self._outer)) if name != "_context" else self.variables()

    def variables(self) -> dict[str, Any]:
        """Everything `variable` would find."""
        merged = dict(self._outer)
        for variables in self._scopes:
            merged.update(variables)
        return merged

    def assign(self, name: str, value: Any) -> None:
        """Set the variable *name* in the scope that has it, else in the innermost one."""
        value = defined(value)
        holder = next((variables for variables in reversed(self._scopes) if name in variables), self._scopes[-1])
        holder[name] = value

    def loop(self, name: str, value: Any) -> Iterator[None]:
        """Bind *name* and ``loop`` to each element of *value* in turn, in a scope of their own."""
        items = elements(defined(value))
        variables: dict[str, Any] = {}
        self._scopes.append(variables)
        for index, item in enumerate(items):
            self.budget.spend_round()
            variables[name] = item
            variables["loop"] = {
                "index": index,
                "length": len(items),
                "first": index == 0,
                "last": index == len(items) - 1,
                "revindex": len(items) - index - 1,
            }
            yield
        self._scopes.pop()

    def call(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a function of the language or of the host; an undefined argument is given back instead."""
        function = self.scope.functions.get(name) or self._functions.get(name)
        if function is None:
            raise ExpressionError(f"function '{name}' is not available here")
        return self._applied(f"function '{name}'", function, arguments, named)

    def call_with_run(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a function of the language that works on the rendering itself."""
        return self._applied(f"function '{name}'", functools.partial(self._functions[name], self), arguments, named)

    def apply(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Apply a filter; an undefined operand is given back instead, except by ``default``."""
        if name == "default" and isinstance(arguments[0], Undefined):
            arguments = (None, *arguments[1:])
        return self._applied(f"filter '{name}'", self._filters[name], arguments, named)

    @staticmethod
    def _applied(what: str, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        for argument in (*arguments, *named.values()):
            if type(argument) is Undefined:
                return argument
        try:
            return function(*arguments, **{parameter(key): value for key, value in named.items()})
        except ExpressionError as error:
            raise type(error)(f"{what}: {error.message}", error.hint) from error
        except TidewaiterError as error:
            raise ExpressionError(f"{what}: {error.message}", error.hint) from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            subject = f" on {kind(arguments[0])}" if arguments else ""
            raise ExpressionError(f"{what} failed{subject}: {error}") from error

    def define(self, name: str, body: Callable[[], str], *parameters: str) -> None:
        """Make the macro *name* known."""
        self._macros[name] = (body, parameters)

    def macro(self, name: str, /, *arguments: Any, **named: Any) -> str:
        """Run a macro with its parameters bound, in a scope that sees nothing else but the outermost variables."""
        body, parameters = self._macros[name]
        bound = dict(zip(parameters, map(defined, arguments), strict=False)) | {
            key: defined(value) for key, value in named.items()
        }
        caller, self._scopes = (self._scopes, self._wrote, self.only), [bound]
        try:
            with self.nested():
                return body()
        finally:
            self._scopes, self._wrote, self.only = caller

    def default_argument(self, name: str, value: Any) -> None:
        """Bind the parameter *name* of a macro to *value* if the caller gave none."""
        self._scopes[0].setdefault(name, value)

    def inner(self) -> "Run":
        """Start a rendering that sees the variables of this one and spends from the same budget."""
        return Run(Scope(self.variables(), self.scope.functions), self._filters, self._functions, self.budget)

    def nested(self) -> "_Nested":
        """Take one level off the depth of calls for the time of a ``with`` block."""
        return _Nested(self.budget)


class _Nested:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        if not self._budget.calls:
            raise ExpressionError("macros or render() call each other too deeply")
        self._budget.calls -= 1

    def __exit__(self, *_: object) -> None:
        self._budget.calls += 1


@functools.lru_cache(maxsize=256)
def parameter(name: str) -> str:
    """Give the Python spelling of an argument's name: ``timeZone`` is ``time_zone``, ``format`` is ``format_``."""
    snake = _CAMEL_HUMP.sub("_", name).lower()
    return snake + "_" if keyword.iskeyword(snake) or hasattr(builtins, snake) else snake


def filtered_block(text: str, run: Run, name: str, /, *arguments: Any, **named: Any) -> str:
    """Apply a filter to the output of a ``filter`` block."""
    run.only = SEVERAL
    return printed(defined(run.apply(name, text, *arguments, **named)))


TABLE: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **OPERATIONS,
        "attribute": attribute,
        "method": method,
        "filtered_block": filtered_block,
        **{
            name: getattr(Run, name)
            for name in (
                "text",
                "show",
                "variable",
                "assign",
                "loop",
                "call",
                "call_with_run",
                "apply",
                "define",
                "macro",
                "default_argument",
            )
        },
    }
)
"""Every operation that compiled templates may call, by name."""
