"""
Turns parsed templates into running code by way of Jinja2, which is imported nowhere else in this package.

`Code` values are opaque to the parser. Every operation, variable and filter becomes a Jinja filter call on a name we
chose, so that no template ever reaches a Python attribute, item or call of its own choosing; the sandbox is a second
line of defence. The source offset travels in the place of Jinja's line number: that way a failing expression is found
again from the traceback.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeAlias, TypeVar

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.environment import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.place import MisplacedError

NodeT = TypeVar("NodeT", bound=nodes.Node)

MAX_HEIGHT = 60
"""How deep operations may be nested: Jinja's code generator and Python's parser recurse over them."""

_RUN = "run"
_FILE = "<expression>"


Constant: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Code:
    """
    An expression on its way to the compiler: *offset* is where it starts in the source, *height* how deep it is. What
    is *safe* needs no automatic escaping.
    """

    node: nodes.Expr
    offset: int
    height: int = 1
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A statement on its way to the compiler."""

    node: nodes.Stmt


class Run(Protocol):
    """The state of one rendering, given to the operations that need it."""


def constant(value: Constant, offset: int) -> Code:
    """Code that gives *value*."""
    return Code(_at(nodes.Const(value), offset), offset)


def literal(code: Code) -> Constant:
    """Give the value of code that `constant` made; None for other code, as for null."""
    value: Constant = code.node.value if isinstance(code.node, nodes.Const) else None
    return value


def operation(name: str, operands: Sequence[Code], offset: int) -> Code:
    """Code that calls the operation *name* of the compiler's table with the values of *operands*."""
    height = _height(operands, offset)
    return Code(_call(name, [code.node for code in operands], offset), offset, height)


def collected(name: str, items: Sequence[Code], offset: int) -> Code:
    """Like `stateful`, for the operation *name* of the `Run` that takes one tuple of the values of *items*."""
    values = _at(nodes.Tuple([code.node for code in items], "load"), offset)
    operands = [nodes.Name(_RUN, "load"), constant(name, offset).node, values]
    return Code(_call("operate", operands, offset), offset, _height(items, offset))


def stateful(name: str, operands: Sequence[Code], offset: int, named: Mapping[str, Code] | None = None) -> Code:
    """Like `operation`, for an operation that takes the `Run` before its operands, and named ones after them."""
    named = named or {}
    height = _height([*operands, *named.values()], offset)
    keywords = [nodes.Keyword(key, code.node) for key, code in named.items()]
    node = _call(name, [nodes.Name(_RUN, "load"), *(code.node for code in operands)], offset, keywords)
    return Code(node, offset, height)


def either(test: Code, yes: Code, no: Code) -> Code:
    """Code that gives *yes* when *test* is true, else *no*; the other one is not evaluated."""
    height = _height([test, yes, no], test.offset)
    return Code(_at(nodes.CondExpr(test.node, yes.node, no.node), test.offset), test.offset, height)


def both(left: Code, right: Code) -> Code:
    """Code that gives *right* if *left* is true, else *left*."""
    return Code(_at(nodes.And(left.node, right.node), left.offset), left.offset, _height([left, right], left.offset))


def one_of(left: Code, right: Code) -> Code:
    """Code that gives *left* if that is true, else *right*."""
    return Code(_at(nodes.Or(left.node, right.node), left.offset), left.offset, _height([left, right], left.offset))


def write(code: Code) -> Step:
    """Append the text that *code* gives to the output."""
    return Step(_at(nodes.Output([code.node]), code.offset))


def do(code: Code) -> Step:
    """Evaluate *code* for its effect."""
    return Step(_at(nodes.ExprStmt(code.node), code.offset))


def choose(branches: Sequence[tuple[Code, list[Step]]], otherwise: list[Step]) -> Step:
    """Run the steps of the first branch whose test is true, else *otherwise*."""
    first, *rest = [_at(nodes.If(test.node, _nodes(body), [], []), test.offset) for test, body in branches]
    first.elif_ = rest
    first.else_ = _nodes(otherwise)
    return Step(first)


def repeat(items: Code, body: list[Step], otherwise: list[Step]) -> Step:
    """Run *body* once for each thing that *items* gives, or *otherwise* if there is none."""
    target = nodes.Name("_", "store")
    return Step(_at(nodes.For(target, items.node, _nodes(body), _nodes(otherwise), None, False), items.offset))


def routine(name: str, body: list[Step], offset: int) -> Step:
    """Define a routine that gives the output of *body* as text."""
    return Step(_at(nodes.Macro(_routine(name), [], [], _nodes(body)), offset))


def reference(name: str, offset: int) -> Code:
    """Code that gives the routine *name* as a callable without arguments."""
    return Code(_at(nodes.Name(_routine(name), "load"), offset), offset)


def captured(body: list[Step], name: str, operands: Sequence[Code], named: Mapping[str, Code]) -> Step:
    """Append what the operation *name* makes of the output of *body*; it gets that text, the `Run` and *operands*."""
    offset = operands[0].offset
    keywords = [nodes.Keyword(key, code.node) for key, code in named.items()]
    arguments = [nodes.Name(_RUN, "load"), *(code.node for code in operands)]
    call = _at(nodes.Filter(None, name, arguments, keywords, None, None), offset)
    return Step(_at(nodes.FilterBlock(_nodes(body), call), offset))


class Compiler:
    """Compiles parsed templates, whose operations it finds in the table given here."""

    def __init__(self, operations: Mapping[str, Callable[..., Any]]) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            autoescape=False, optimized=False, undefined=StrictUndefined, cache_size=0
        )
        for table in (self._environment.filters, self._environment.tests, self._environment.globals):
            table.clear()
        self._environment.filters.update(operations)

    def compile(self, steps: Iterable[Step]) -> "Program":
        """
        Make a program of *steps*.

        Raises:
            ExpressionError: the template is too deeply nested for the compiler.
        """
        tree = _at(nodes.Template(_nodes(steps)), 0)
        tree.set_environment(self._environment)
        try:
            code = self._environment.compile(tree, filename=_FILE)
        except (TemplateError, SyntaxError, RecursionError, MemoryError) as error:
            raise ExpressionError("template is nested too deeply", "split it into several properties") from error
        template = self._environment.template_class.from_code(self._environment, code, self._environment.globals)
        return Program(template)


class Program:
    """A compiled template. May be run any number of times, also at the same time."""

    def __init__(self, template: Template) -> None:
        self._template = template

    def run(self, run: Run) -> str:
        """
        Run the program with the state *run* and give its output.

        Raises:
            ExpressionError: raised by an operation, or the sandbox refused something.
        """
        try:
            return "".join(self._template.root_render_func(self._template.new_context({_RUN: run})))
        except TemplateError as error:
            raise ExpressionError(f"template failed: {error}") from error

    def offset(self, traceback: TracebackType | None) -> int:
        """Find the source offset of the expression that was running when the exception with *traceback* was raised."""
        line = 0
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == _FILE:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return self._template.get_corresponding_lineno(line) - 1 if line else 0


def _call(name: str, operands: Sequence[nodes.Expr], offset: int, named: Sequence[nodes.Keyword] = ()) -> nodes.Expr:
    first, *rest = operands
    return _at(nodes.Filter(first, name, rest, list(named), None, None), offset)


def _at(node: NodeT, offset: int) -> NodeT:
    node.lineno = offset + 1
    return node


def _height(operands: Iterable[Code], offset: int) -> int:
    height = 1 + max((code.height for code in operands), default=0)
    if height > MAX_HEIGHT:
        raise MisplacedError("expression is nested too deeply", offset, "split it with {% set %}")
    return height


def _nodes(steps: Iterable[Step]) -> list[nodes.Node]:
    return [step.node for step in steps]


def _routine(name: str) -> str:
    return f"macro_{name.encode().hex()}"
