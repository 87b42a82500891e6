"""Cuts the source of a template into tokens, by Pebble's rules for delimiters, strings and whitespace control."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tidewaiter.config.expression.place import MisplacedError

Kind = Literal[
    "data", "raw", "print", "print_end", "tag", "tag_end", "name", "number", "string", "text", "symbol", "end"
]

MAX_CODE_TOKENS = 10_000
"""Names, symbols, tags and the like; templates with more of them take seconds to compile."""

MAX_INTERPOLATION = 8
"""How deep ``#{…}`` may be nested inside strings."""

_OPENING = re.compile(r"\{[{%#]-?")
_RAW = re.compile(r"\{%-?\s*(raw|verbatim)\s*(-?)%\}")
_CODE = re.compile(
    r"(?P<space>\s+)|(?P<name>[^\W\d]\w*)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<string>'[^'\\]*(?:\\.[^'\\]*)*')|(?P<quote>\")"
    r"|(?P<symbol>\?\?\?|\?\?|==|!=|<=|>=|\.\.|[-+*/%~|<>?:,.()\[\]{}=])",
    re.DOTALL,
)
_TEXT = re.compile(r"(?:[^\"\\#]|\\.|#(?!\{))+", re.DOTALL)
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Token:
    """
    One token and where it stands in the source (offsets).

    A ``string`` has its unescaped text as value; a ``text`` is a string with ``#{…}`` in it, whose *parts* are literal
    text and the tokens of each inner expression, in order.
    """

    kind: Kind
    value: str
    start: int
    end: int
    parts: tuple["str | tuple[Token, ...]", ...] = ()


def tokenize(source: str) -> tuple[Token, ...]:
    """
    Cut *source* into tokens, the last of kind ``end``.

    Raises:
        MisplacedError: an unclosed delimiter or string, a character that means nothing, or too much code.
    """
    return tuple(_Lexer(source).template())


class _Lexer:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._tokens_left = MAX_CODE_TOKENS
        self._depth = 0

    def template(self) -> Iterator[Token]:
        """Alternate between literal text and code until the source is used up."""
        while opening := _OPENING.search(self._source, self._at):
            text = self._source[self._at : opening.start()]
            yield from self._data(text.rstrip() if opening[0].endswith("-") else text)
            self._at = opening.start()
            yield from self._construct(opening)
        yield from self._data(self._source[self._at :])
        yield Token("end", "", len(self._source), len(self._source))

    def _data(self, text: str) -> Iterator[Token]:
        if text:
            yield Token("data", text, self._at, self._at + len(text))

    def _construct(self, opening: re.Match[str]) -> Iterator[Token]:
        kind = opening[0][1]
        self._count(self._at)
        if kind == "#":
            self._comment(opening)
        elif raw := _RAW.match(self._source, self._at):
            yield from self._raw(raw)
        else:
            yield from self._code_block(opening, "print" if kind == "{" else "tag")

    def _comment(self, opening: re.Match[str]) -> None:
        end = self._source.find("#}", opening.end())
        if end < 0:
            raise MisplacedError("comment is not closed, '#}' expected", opening.start())
        self._at = end + 2
        if self._source[end - 1] == "-":
            self._skip_blank()

    def _raw(self, opening: re.Match[str]) -> Iterator[Token]:
        closing = re.compile(rf"\{{%(-?)\s*end{opening[1]}\s*(-?)%\}}").search(self._source, opening.end())
        if closing is None:
            raise MisplacedError(f"'{opening[1]}' is not closed, '{{% end{opening[1]} %}}' expected", opening.start())
        text = self._source[opening.end() : closing.start()]
        text = text.lstrip() if opening[2] else text
        yield Token("raw", text.rstrip() if closing[1] else text, opening.end(), closing.start())
        self._at = closing.end()
        if closing[2]:
            self._skip_blank()

    def _code_block(self, opening: re.Match[str], kind: Literal["print", "tag"]) -> Iterator[Token]:
        yield Token(kind, opening[0], opening.start(), opening.end())
        self._at = opening.end()
        closing = "}}" if kind == "print" else "%}"
        yield from self._code(closing, opening.start())
        start = self._at
        trims = self._source[start] == "-"
        self._at += len(closing) + trims
        yield Token("print_end" if kind == "print" else "tag_end", closing, start, self._at)
        if trims:
            self._skip_blank()

    def _code(self, closing: str, opened_at: int) -> Iterator[Token]:
        """Give the tokens up to *closing*, which is left for the caller; braces of map literals are balanced."""
        braces = 0
        while braces or not self._source.startswith((closing, "-" + closing), self._at):
            match = _CODE.match(self._source, self._at)
            if match is None:
                raise self._stuck(closing, opened_at)
            braces += {"{": 1, "}": -1}.get(match[0], 0)
            yield from self._token(match)

    def _token(self, match: re.Match[str]) -> Iterator[Token]:
        self._at = match.end()
        kind = match.lastgroup
        if kind == "space":
            return
        text: Kind = "symbol" if kind == "symbol" else "name" if kind == "name" else "number"
        self._count(match.start())
        if kind == "quote":
            yield self._double_quoted(match.start())
        elif kind == "string":
            yield Token("string", match[0][1:-1].replace("\\'", "'"), match.start(), match.end())
        else:
            yield Token(text, match[0], match.start(), match.end())

    def _count(self, at: int) -> None:
        self._tokens_left -= 1
        if self._tokens_left < 0:
            raise MisplacedError(f"template has more than {MAX_CODE_TOKENS} tokens of code", at)

    def _double_quoted(self, start: int) -> Token:
        parts: list[str | tuple[Token, ...]] = []
        while not self._source.startswith('"', self._at):
            if match := _TEXT.match(self._source, self._at):
                parts.append(match[0].replace('\\"', '"'))
                self._at = match.end()
            elif self._source.startswith("#{", self._at):
                parts.append(self._interpolation())
            else:
                raise MisplacedError("string is not closed, '\"' expected", start)
        self._at += 1
        if all(isinstance(part, str) for part in parts):
            return Token("string", "".join(map(str, parts)), start, self._at)
        return Token("text", self._source[start : self._at], start, self._at, tuple(parts))

    def _interpolation(self) -> tuple[Token, ...]:
        start = self._at
        self._depth += 1
        if self._depth > MAX_INTERPOLATION:
            raise MisplacedError("strings with '#{…}' are nested too deeply", start)
        self._at += 2
        tokens = tuple(self._code("}", start))
        self._at += 1 + (self._source[self._at] == "-")
        self._depth -= 1
        return (*tokens, Token("end", "}", self._at - 1, self._at))

    def _skip_blank(self) -> None:
        self._at = _BLANK.match(self._source, self._at).end()  # type: ignore[union-attr]  # always matches

    def _stuck(self, closing: str, opened_at: int) -> MisplacedError:
        rest = self._source[self._at : self._at + 1]
        if not rest:
            return MisplacedError(f"'{closing}' expected before the end of the text", opened_at)
        if rest == "'":
            return MisplacedError('string is not closed, "\'" expected', self._at)
        hint = "use 'and', 'or' and 'not'" if rest in "&|!" else None
        return MisplacedError(f"unexpected character {rest!r}", self._at, hint)
