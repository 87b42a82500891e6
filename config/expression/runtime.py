"""One rendering: its variables, what it may still spend, and the functions and filters it may call."""

import builtins
import functools
import keyword
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tidewaiter.config.errors import ExpressionError, TidewaiterError
from tidewaiter.config.expression.budget import Budget
from tidewaiter.config.expression.members import attribute, method
from tidewaiter.config.expression.operators import LAZY
from tidewaiter.config.expression.printing import printed
from tidewaiter.config.expression.values import Undefined, defined, elements, kind, replaced

SEVERAL: Final = object()

_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Scope:
    """
    What an expression can see.

    *variables* are plain data: maps, lists, strings, numbers, booleans, null, dates. *functions* are the host's own,
    such as ``secret`` and ``read``. A function gets the arguments of the expression, named ones in snake case
    (``errorOnMissing`` as ``error_on_missing``), and gives plain data back.

    With *recursive* what an expression gives is rendered again until it no longer changes, as Kestra did before 0.14.
    Then data is code: never set it for flows that were not written for it.
    """

    variables: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class Library:
    """What templates may call by name; *text_methods* are the methods of strings that work by regular expressions."""

    filters: Mapping[str, Callable[..., Any]]
    functions: Mapping[str, Callable[..., Any]]
    operations: Mapping[str, Callable[..., Any]]
    text_methods: Mapping[str, Callable[..., Any]]


class Run:
    """
    The state of one rendering. *only* is the value of the one thing written so far, `SEVERAL` after more than one.

    Variables live in a chain of scopes, the innermost first, as in Pebble: ``set`` changes a variable where it is, and
    makes a new one in the innermost scope.
    """

    def __init__(self, scope: Scope, library: Library, budget: Budget) -> None:
        self.scope = scope
        self.budget = budget
        self.only: Any = ""
        self._wrote = False
        self._macros: dict[str, tuple[Callable[[], str], Sequence[str]]] = {}
        self._library = library
        self._scopes: list[dict[str, Any]] = [{}]
        self._outer: Mapping[str, Any] = scope.variables
        self._kept: dict[str, str] = {}

    def text(self, data: str) -> str:
        """Write the literal text *data*."""
        self.budget.spend_output(len(data))
        self.only = SEVERAL if self._wrote else data
        self._wrote = True
        return data

    def raw(self, data: str) -> str:
        """Write the text *data* of a ``raw`` tag, which is kept from being rendered again."""
        if not self.scope.recursive:
            return self.text(data)
        mark = f"\ue000{secrets.token_hex(16)}\ue000"
        self._kept[mark] = data
        return self.text(mark)

    def restored(self, value: Any) -> Any:
        """Give *value* with the texts of ``raw`` tags where they were kept back."""
        if not self._kept:
            return value
        if isinstance(value, Mapping):
            return {self.restored(key): self.restored(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.restored(item) for item in value]
        if isinstance(value, str):
            for mark, data in self._kept.items():
                value = replaced(value, mark, data)
        return value

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
        function = self.scope.functions.get(name) or self._library.functions.get(name)
        if function is None:
            raise ExpressionError(f"function '{name}' is not available here")
        return self._applied(f"function '{name}'", function, arguments, named)

    def call_with_run(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a function of the language that works on the rendering itself."""
        return self._applied(
            f"function '{name}'", functools.partial(self._library.functions[name], self), arguments, named
        )

    def operate(self, name: str, /, *operands: Any) -> Any:
        """Carry out an operator, a test or the building of a literal."""
        self.budget.spend_time()
        return self.budget.spend_built(self._library.operations[name](*operands))

    def method(self, value: Any, name: str, path: str, /, *arguments: Any) -> Any:
        """Call a Java method of *value*."""
        self.budget.spend_time()
        return self.budget.spend_built(method(value, name, path, arguments, self._library.text_methods))

    def apply(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Apply a filter; an undefined operand is given back instead, except by ``default``."""
        if name == "default" and isinstance(arguments[0], Undefined):
            arguments = (None, *arguments[1:])
        return self._applied(f"filter '{name}'", self._library.filters[name], arguments, named)

    def _applied(
        self, what: str, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> Any:
        self.budget.spend_time()
        for argument in (*arguments, *named.values()):
            if type(argument) is Undefined:
                return argument
        try:
            given = function(*arguments, **{parameter(key): value for key, value in named.items()})
        except ExpressionError as error:
            raise type(error)(f"{what}: {error.message}", error.hint) from error
        except TidewaiterError as error:
            raise ExpressionError(f"{what}: {error.message}", error.hint) from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            subject = f" on {kind(arguments[0])}" if arguments else ""
            raise ExpressionError(f"{what} failed{subject}: {error}") from error
        return self.budget.spend_built(given)

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
            with self.budget.nested():
                return body()
        finally:
            self._scopes, self._wrote, self.only = caller

    def default_argument(self, name: str, value: Any) -> None:
        """Bind the parameter *name* of a macro to *value* if the caller gave none."""
        self._scopes[0].setdefault(name, value)

    def inner(self) -> "Run":
        """Start a rendering that sees the variables of this one and spends from the same budget."""
        run = Run(Scope(self.variables(), self.scope.functions, self.scope.recursive), self._library, self.budget)
        run._kept = self._kept
        return run


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
        **LAZY,
        "attribute": attribute,
        "filtered_block": filtered_block,
        **{
            name: getattr(Run, name)
            for name in (
                "text",
                "raw",
                "show",
                "variable",
                "assign",
                "loop",
                "call",
                "call_with_run",
                "apply",
                "operate",
                "method",
                "define",
                "macro",
                "default_argument",
            )
        },
    }
)
"""Every operation that compiled templates may call, by name."""
