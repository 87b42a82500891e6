"""
Pebble's expressions: tokens in, code for the compiler out.

Names of filters and functions and their arguments are checked here, so that mistakes show before anything runs.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import compiler
from tidewaiter.config.expression.compiler import Code
from tidewaiter.config.expression.lexer import Token
from tidewaiter.config.expression.place import MisplacedError
from tidewaiter.config.expression.runtime import parameter
from tidewaiter.config.expression.values import similar

MAX_NESTING = 50
"""How deep parentheses, lists, maps and arguments may be nested."""

_OPERATORS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "==": (30, "equal"),
        "equals": (30, "equal"),
        "!=": (30, "unequal"),
        ">": (30, "greater"),
        "<": (30, "less"),
        ">=": (30, "greater_or_equal"),
        "<=": (30, "less_or_equal"),
        "contains": (20, "contains"),
        "in": (30, "within"),
        "isIn": (30, "within"),
        "not in": (30, "not_within"),
        "matches": (30, "matches"),
        "+": (40, "add"),
        "-": (40, "subtract"),
        "*": (60, "multiply"),
        "/": (60, "divide"),
        "%": (60, "remainder"),
        "~": (110, "concatenate"),
        "..": (120, "interval"),
    }
)
"""Precedence and operation of the plain binary operators (Pebble's CoreExtension; kestra.md §1.12)."""

_SPECIAL: Mapping[str, int] = MappingProxyType({"or": 10, "and": 15, "is": 20, "|": 100, "??": 120, "???": 120})
_ALSO_NAMES = frozenset({"matches"})  # an operator of our own, so flows may have a variable of that name
_UNARY: Mapping[str, str] = MappingProxyType({"not": "negation", "-": "negative", "+": "positive"})
_UNARY_PRECEDENCE = 500
_TESTS = ("defined", "null", "empty", "even", "odd", "iterable", "map", "json")
_LITERALS: Mapping[str, bool | None] = MappingProxyType(
    {"true": True, "TRUE": True, "false": False, "FALSE": False, "null": None, "NULL": None, "none": None, "NONE": None}
)
_MAX_LONG = 2**63 - 1
_QUOTED = re.compile(r"'\w+'")
_SNAKE_JOINT = re.compile(r"_([a-z]?)")


@dataclass(frozen=True, slots=True)
class Names:
    """
    What a template may call: filters and functions of the language, those that get the `Run`, and the host's.

    *refused* are functions of Kestra that are not there, with what to do instead.
    *programs* are filters whose first argument is a program, with what raises `ExpressionError` for a wrong one.
    """

    filters: Mapping[str, Callable[..., Any]]
    functions: Mapping[str, Callable[..., Any]]
    rendering: frozenset[str]
    host: frozenset[str]
    refused: Mapping[str, str]
    programs: Mapping[str, Callable[[str], None]]


class Grammar:
    """Parses the expressions of one template; *tokens* are read one after the other."""

    def __init__(self, source: str, tokens: Sequence[Token], names: Names, macros: frozenset[str]) -> None:
        self._source = source
        self._tokens = tokens
        self._names = names
        self._macros = macros
        self._index = 0
        self._nesting = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _next(self) -> Token:
        token = self._token
        self._index += 1
        return token

    def _is(self, *values: str) -> bool:
        return self._token.kind in {"symbol", "name"} and self._token.value in values

    def _take(self, value: str) -> bool:
        found = self._is(value)
        self._index += found
        return found

    def _expect(self, value: str) -> Token:
        if not self._is(value):
            raise self._unexpected(f"'{value}'")
        return self._next()

    def _name(self, what: str) -> Token:
        if self._token.kind != "name":
            raise self._unexpected(what)
        return self._next()

    def _unexpected(self, wanted: str) -> MisplacedError:
        token = self._token
        found = f"'{token.value}'" if token.value else "the end of the text"
        return MisplacedError(f"unexpected {found}, {wanted} expected", token.start)

    def _expression(self, precedence: int = 0) -> Code:
        """Parse an expression whose operators bind at least as tightly as *precedence*."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise MisplacedError("expression is nested too deeply", self._token.start)
        code = self._unary()
        while (operator := self._operator()) and self._precedence(operator) >= precedence:
            code = self._binary(code, operator)
        if precedence == 0 and self._is("?"):
            code = self._ternary(code)
        self._nesting -= 1
        return code

    def _operator(self) -> str | None:
        if self._token.kind not in {"symbol", "name"}:
            return None
        word = self._token.value
        if word == "not" and self._tokens[self._index + 1].value == "in":
            return "not in"
        return word if word in _OPERATORS or word in _SPECIAL else None

    @staticmethod
    def _precedence(operator: str) -> int:
        return _OPERATORS[operator][0] if operator in _OPERATORS else _SPECIAL[operator]

    def _binary(self, left: Code, operator: str) -> Code:
        token = self._next()
        if operator == "is":
            return self._test(left)
        if operator == "|":
            name, operands, named = self._filter_call()
            code = compiler.stateful("apply", [name, left, *operands], left.offset, named)
            return replace(code, safe=compiler.literal(name) in {"raw", "escape"})
        self._index += operator == "not in"
        right = self._expression(self._precedence(operator) + 1)
        if operator in _SPECIAL:
            return self._lazy(operator, left, right)
        return self._operate(_OPERATORS[operator][1], [left, right], token.start)

    @staticmethod
    def _lazy(operator: str, left: Code, right: Code) -> Code:
        """Build an operator that evaluates its right side only when the left one does not settle it."""
        if operator in {"and", "or"}:
            sides = [compiler.operation("truth", [side], side.offset) for side in (left, right)]
            return compiler.both(*sides) if operator == "and" else compiler.one_of(*sides)
        found = compiler.operation("present" if operator == "??" else "available", [left], left.offset)
        instead = compiler.operation("wrapped", [right], right.offset)
        return compiler.operation("unwrapped", [compiler.one_of(found, instead)], left.offset)

    @staticmethod
    def _operate(name: str, operands: Sequence[Code], offset: int) -> Code:
        return compiler.stateful("operate", [compiler.constant(name, offset), *operands], offset)

    def _test(self, subject: Code) -> Code:
        negated = self._take("not")
        token = self._name("the name of a test")
        if token.value not in _TESTS:
            hint = next(
                (f"did you mean '{name}'?" for name in similar(token.value, _TESTS)), f"there is {', '.join(_TESTS)}"
            )
            raise MisplacedError(f"unknown test '{token.value}'", token.start, hint)
        if self._take("("):
            self._expect(")")
        code = self._operate(f"is_{token.value}", [subject], subject.offset)
        return self._operate("negation", [code], subject.offset) if negated else code

    def _ternary(self, condition: Code) -> Code:
        self._expect("?")
        yes = self._expression()
        self._expect(":")
        return compiler.either(compiler.operation("truth", [condition], condition.offset), yes, self._expression())

    def _unary(self) -> Code:
        if self._token.kind in {"symbol", "name"} and self._token.value in _UNARY:
            token = self._next()
            return self._operate(_UNARY[token.value], [self._expression(_UNARY_PRECEDENCE)], token.start)
        return self._operand()

    def _operand(self) -> Code:
        token = self._token
        readers = {"string": self._string, "text": self._text, "number": self._number, "name": self._named}
        is_operator = token.kind == "name" and token.value in {*_OPERATORS, *_SPECIAL} - _ALSO_NAMES
        if token.kind in readers and not is_operator:
            return readers[token.kind](self._next())
        if self._is("["):
            return self._list(self._next())
        if self._is("{"):
            return self._map(self._next())
        if self._take("("):
            code = self._expression()
            self._expect(")")
            return self._postfix(code, token.start)
        raise self._unexpected("a value")

    @staticmethod
    def _string(token: Token) -> Code:
        return replace(compiler.constant(token.value, token.start), safe=True)

    @staticmethod
    def _number(token: Token) -> Code:
        if "." in token.value:
            return compiler.constant(float(token.value), token.start)
        if len(token.value) > 19 or int(token.value) > _MAX_LONG:
            raise MisplacedError(f"number {token.value[:40]} is too large", token.start)
        return compiler.constant(int(token.value), token.start)

    def _text(self, token: Token) -> Code:
        pieces = [
            replace(compiler.constant(part, token.start), safe=True) if isinstance(part, str) else self._inner(part)
            for part in token.parts
        ]
        return replace(compiler.collected("joined", pieces, token.start), safe=all(piece.safe for piece in pieces))

    def _inner(self, tokens: Sequence[Token]) -> Code:
        """Parse the expression of a ``#{…}``."""
        outer, self._tokens, self._index = (self._tokens, self._index), tokens, 0
        code = self._expression()
        if self._token.kind != "end":
            raise self._unexpected("'}' or an operator")
        self._tokens, self._index = outer
        return code

    def _list(self, opening: Token) -> Code:
        items = self._several("]", self._expression)
        return compiler.collected("collected", items, opening.start)

    def _map(self, opening: Token) -> Code:
        entries = self._several("}", self._entry)
        return compiler.collected("mapped", [code for entry in entries for code in entry], opening.start)

    def _entry(self) -> tuple[Code, Code]:
        key = self._expression()
        self._expect(":")
        return key, self._expression()

    def _several(self, closing: str, parse_one: Callable[[], Any]) -> list[Any]:
        """Parse things separated by commas up to *closing*; no comma may follow the last one."""
        things: list[Any] = []
        while not self._take(closing):
            if things:
                self._expect(",")
            things.append(parse_one())
        return things

    def _named(self, token: Token) -> Code:
        if token.value in _LITERALS and not self._is("("):
            return compiler.constant(_LITERALS[token.value], token.start)
        if self._is("("):
            return self._postfix(self._call(token), token.start)
        name = compiler.constant(token.value, token.start)
        return self._postfix(compiler.stateful("variable", [name], token.start), token.start)

    def _postfix(self, code: Code, start: int) -> Code:
        while self._is(".", "["):
            if self._next().value == "[":
                key = self._expression()
                self._expect("]")
                code = compiler.operation("attribute", [code, key, self._path(start)], start)
                continue
            name = self._name("the name of an attribute")
            key = compiler.constant(name.value, name.start)
            if self._take("("):
                operands, named = self._arguments()
                if named:
                    raise MisplacedError(f"method '{name.value}' takes no named arguments", name.start)
                code = compiler.stateful("method", [code, key, self._path(start), *operands], start)
            else:
                code = compiler.operation("attribute", [code, key, self._path(start)], start)
        return code

    def _path(self, start: int) -> Code:
        """Give what has been read of a variable's path, as it is written, for messages."""
        return compiler.constant(self._source[start : self._tokens[self._index - 1].end], start)

    def _call(self, token: Token) -> Code:
        self._expect("(")
        operands, named = self._arguments()
        name = compiler.constant(token.value, token.start)
        if token.value in self._macros:
            return replace(compiler.stateful("macro", [name, *operands], token.start, named), safe=True)
        if token.value in self._names.rendering:
            self._verify("function", token, self._names.functions[token.value], (None, *operands), named)
            return compiler.stateful("call_with_run", [name, *operands], token.start, named)
        if token.value in self._names.functions:
            self._verify("function", token, self._names.functions[token.value], operands, named)
        elif token.value in self._names.refused and token.value not in self._names.host:
            hint = self._names.refused[token.value]
            raise MisplacedError(f"function '{token.value}' is not available here", token.start, hint)
        elif token.value not in self._names.host:
            raise self._unknown("function", token, [*self._names.functions, *self._names.host, *self._macros])
        return compiler.stateful("call", [name, *operands], token.start, named)

    def _filter_call(self) -> tuple[Code, list[Code], dict[str, Code]]:
        token = self._name("the name of a filter")
        if token.value not in self._names.filters:
            raise self._unknown("filter", token, self._names.filters)
        operands, named = self._arguments() if self._take("(") else ([], {})
        self._verify("filter", token, self._names.filters[token.value], (None, *operands), named)
        self._verify_program(token, [*operands, *named.values()])
        return compiler.constant(token.value, token.start), operands, named

    def _verify_program(self, token: Token, arguments: Sequence[Code]) -> None:
        """Check a program that is written out; one that is put together is checked when it runs."""
        program = compiler.literal(arguments[0]) if token.value in self._names.programs else None
        if isinstance(program, str):
            try:
                self._names.programs[token.value](program)
            except ExpressionError as error:
                raise MisplacedError(error.message, arguments[0].offset, error.hint) from error

    def _arguments(self) -> tuple[list[Code], dict[str, Code]]:
        operands: list[Code] = []
        named: dict[str, Code] = {}
        for name, code in self._several(")", self._argument):
            if name is None:
                operands.append(code)
            elif name in named:
                raise MisplacedError(f"argument '{name}' is given twice", code.offset)
            else:
                named[name] = code
        return operands, named

    def _argument(self) -> tuple[str | None, Code]:
        following = self._tokens[self._index + 1] if self._token.kind == "name" else None
        if following is not None and following.kind == "symbol" and following.value == "=":
            name = self._next().value
            self._index += 1
            return name, self._expression()
        return None, self._expression()

    @staticmethod
    def _unknown(what: str, token: Token, known: Iterable[str]) -> MisplacedError:
        hint = next((f"did you mean '{name}'?" for name in similar(token.value, known)), None)
        return MisplacedError(f"unknown {what} '{token.value}'", token.start, hint)

    @staticmethod
    def _verify(
        what: str, token: Token, function: Callable[..., Any], operands: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        """Check number and names of the arguments against the function's signature."""
        try:
            inspect.signature(function).bind(*operands, **{parameter(name): None for name in named})
        except TypeError as error:
            reason = _QUOTED.sub(lambda found: _camel(found[0]), str(error))
            reason = reason.replace("got an unexpected keyword", "unknown")
            raise MisplacedError(f"{what} '{token.value}': {reason}", token.start, _takes(function)) from error


def _takes(function: Callable[..., Any]) -> str | None:
    """Name the arguments of a filter or function as authors write them, but for the operand or the `Run`."""
    names = [_camel(name) for name in inspect.signature(function).parameters if name not in {"subject", "run"}]
    return f"it takes {', '.join(names)}" if names else "it takes no arguments"


def _camel(name: str) -> str:
    """Give the name of an argument in Java's spelling, the opposite of `parameter`."""
    return _SNAKE_JOINT.sub(lambda joint: joint[1].upper(), name)
