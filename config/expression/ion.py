"""Reads Amazon Ion text, in which Kestra keeps rows; writing it is in `printing`."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.values import text_of

_MAX_DEPTH = 64
_MAX_SIZE = 1024 * 1024
_MAX_VALUES = 100_000
_TOKEN = re.compile(
    r"(?:\s|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*+"
    r"(?:(?P<string>\"(?:[^\"\\]|\\.)*+\"|'''(?:[^'\\]|\\.|'(?!''))*+''')|(?P<symbol>'(?:[^'\\]|\\.)*+')"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T(?:\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[-+]\d\d:\d\d))?)?|\d{4}(?:-\d\d)?T)"
    r"|(?P<mark>::|\{\{|[{}\[\](),:])|(?P<word>[^\s{}\[\](),:\"']+)|(?P<end>\Z))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r\n|.))", re.DOTALL)
_ESCAPED: Mapping[str, str] = MappingProxyType(
    {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": "", "\r\n": ""}
)
_WORDS: Mapping[str, Any] = MappingProxyType(
    {"true": True, "false": False, "nan": float("nan"), "+inf": float("inf"), "-inf": float("-inf")}
)
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"-?\d{1,400}"), int),
    (re.compile(r"-?0[xX][0-9a-fA-F]{1,300}"), lambda word: int(word, 16)),
    (re.compile(r"-?0[bB][01]{1,1000}"), lambda word: int(word, 2)),
    (re.compile(r"-?\d+(?:\.\d*)?[eE][-+]?\d+"), float),
    (re.compile(r"-?\d{1,400}(?:\.\d{0,400})?(?:[dD][-+]?\d{1,3})?"), lambda word: Decimal(re.sub("[dD]", "E", word))),
)


def from_ion(ion: Any, all_rows: Any = False) -> Any:  # noqa: FBT002 - Kestra's argument
    """
    Read the first value of the Ion text *ion*, or with *all_rows* a list of all; null gives null.

    Annotations are left out, timestamps stay text.

    Raises:
        ExpressionError: it is no Ion text, or too big or too deep.
    """
    if ion is None:
        return None
    text = text_of(ion, "Ion")
    if len(text) > _MAX_SIZE:
        raise ExpressionError("Ion text is too long", "work on big files in a script")
    reader = _Reader(text)
    if not all_rows:
        return None if reader.at_end() else reader.value(0)
    rows = []
    while not reader.at_end():
        rows.append(reader.value(0))
    return rows


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._values = 0
        self._token = self._match(0)

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._token["end"] is not None

    def value(self, depth: int) -> Any:
        """Read one value."""
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise ExpressionError("Ion text has too many values or is nested too deeply")
        token = self._next()
        if token["string"] is not None:
            return self._string(token)
        if token["time"] is not None:
            return self._unless_annotation(token["time"], depth)
        if token["symbol"] is not None:
            return self._unless_annotation(_unescaped(token["symbol"][1:-1]), depth)
        if token["word"] is not None:
            return self._unless_annotation(token["word"], depth, read=True)
        return self._collection(token, depth)

    def _match(self, at: int) -> re.Match[str]:
        found = _TOKEN.match(self._text, at)
        if found is None:
            raise self._wrong(at)
        return found

    def _next(self) -> re.Match[str]:
        token = self._token
        self._token = self._match(token.end())
        return token

    def _take(self, mark: str) -> bool:
        found = self._token["mark"] == mark
        if found:
            self._next()
        return found

    def _wrong(self, at: int) -> ExpressionError:
        line = self._text.count("\n", 0, at) + 1
        return ExpressionError(f"not Ion text: unexpected {self._text[at : at + 20]!r} in line {line} of it")

    def _string(self, token: re.Match[str]) -> str:
        """Join long strings that follow each other."""
        text = token["string"]
        if not text.startswith("'''"):
            return _unescaped(text[1:-1])
        parts = [_unescaped(text[3:-3])]
        while (self._token["string"] or "").startswith("'''"):
            parts.append(_unescaped(self._next()["string"][3:-3]))
        return "".join(parts)

    def _unless_annotation(self, text: str, depth: int, *, read: bool = False) -> Any:
        if self._take("::"):
            return self.value(depth + 1)
        return _word(text) if read else text

    def _collection(self, token: re.Match[str], depth: int) -> Any:
        readers = {"{": self._struct, "[": self._list, "(": self._expression, "{{": self._blob}
        if token["mark"] not in readers:
            raise self._wrong(token.end() - len(token["mark"] or ""))
        return readers[token["mark"]](depth + 1)

    def _struct(self, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while not self._take("}"):
            token = self._next()
            quoted = token["symbol"] or token["string"]
            name = _unescaped(quoted[1:-1]) if quoted else token["word"]
            if name is None or not self._take(":"):
                raise self._wrong(token.start())
            fields[name] = self.value(depth)
            if not self._take(",") and self._token["mark"] != "}":
                raise self._wrong(self._token.start())
        return fields

    def _list(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._take("]"):
            items.append(self.value(depth))
            if not self._take(",") and self._token["mark"] != "]":
                raise self._wrong(self._token.start())
        return items

    def _expression(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._take(")"):
            items.append(self.value(depth))
        return items

    def _blob(self, _depth: int) -> str:
        """Give the Base64 of a blob, or the text of a clob."""
        parts = []
        while not self._take("}"):
            token = self._next()
            if token["end"] is not None:
                raise self._wrong(token.start())
            parts.append(self._string(token) if token["string"] else token[0].strip())
        if not self._take("}"):
            raise self._wrong(self._token.start())
        return "".join(parts)


def _word(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if word == "null" or word.startswith("null."):
        return None
    plain = word.replace("_", "") if word[:1].isdigit() or word[:1] == "-" else word
    return next((read(plain) for pattern, read in _NUMBERS if pattern.fullmatch(plain)), word)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code:
        return chr(min(int(code, 16), 0x10FFFF))
    return _ESCAPED.get(found[4], found[4])
