"""How values become text: JSON where a template prints them (kestra.md §1.12), Java's spelling when joined to text."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.values import MAX_ITEMS, MAX_TEXT

_ORDINARY = 1024 * 1024  # characters and items
MAX_DEPTH = 200
"""How deep lists and maps may be nested that are printed; deeper ones are hostile."""


def printed(value: Any) -> str:
    """
    Give the text a template prints for *value*: nothing for null, compact JSON for lists and maps.

    Raises:
        ExpressionError: the value is nested too deeply or of no known type.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple | set | frozenset | range):
        return to_json(value)
    return plain(value)


def plain(value: Any) -> str:
    """Give *value* as Java's ``toString`` does: ``[a, b]``, ``{k=v}``, ``1.0``, ``true``, ``null``."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else _Writer(_PLAIN).text(value)


def to_json(value: Any) -> str:
    """Give *value* as compact JSON, floats in Java's spelling, dates as ISO-8601 strings."""
    if _is_ordinary(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _Writer(_JSON).text(value)


def to_ion(value: Any) -> str:
    """Give *value* as Amazon Ion text, as Kestra writes rows."""
    return _Writer(_ION).text(value)


def _is_ordinary(value: Any) -> bool:
    """Tell whether the standard library, which is much faster, writes *value* in the same way and within bounds."""
    level, left = [value], _ORDINARY
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                left -= len(item)
            elif kind is dict:
                inner.extend(item.values())
                left -= sum(map(len, item)) if all(type(key) is str for key in item) else _ORDINARY
            elif kind is list:
                inner.extend(item)
            elif kind is not int and item is not None and kind is not bool:
                return False
        left -= len(inner)
        if left < 0 or not inner:
            return left >= 0
        level = inner
    return False


def java_float(number: float) -> str:
    """Write *number* as java.lang.Double does: ``1.0``, ``1.0E7``, ``1.0E-4``."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("-" if number < 0 else "") + "Infinity"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    first, rest = digits[0], "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{first}.{rest}E{int(exponent) + len(digits) - 1}"


def iso_date(value: date) -> str:
    """Write a date or time as ISO-8601 with the fraction only when there is one, and ``Z`` for UTC."""
    if not isinstance(value, datetime):
        return value.isoformat()
    text = value.isoformat(timespec="microseconds" if value.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


class _Style:
    """The differences between the two spellings."""

    def __init__(self, *, separators: tuple[str, str], text: Callable[[str], str], key: Callable[[Any], str]) -> None:
        self.item_separator, self.key_separator = separators
        self.text = text
        self.key = key

    def number(self, number: float) -> str:
        """Spell a floating-point number."""
        return java_float(number)

    def date(self, value: date) -> str:
        """Spell a date."""
        return self.text(iso_date(value))


class _IonStyle(_Style):
    def number(self, number: float) -> str:
        if not math.isfinite(number):
            return "nan" if math.isnan(number) else f"{'-' if number < 0 else '+'}inf"
        text = java_float(number)
        return text if "E" in text else text.removesuffix(".0") + "e0"

    def date(self, value: date) -> str:
        return f"{'ZonedDateTime' if isinstance(value, datetime) else 'LocalDate'}::{self.text(iso_date(value))}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_PLAIN = _Style(separators=(", ", "="), text=str, key=lambda key: key if isinstance(key, str) else plain(key))
_JSON = _Style(
    separators=(",", ":"), text=_quoted, key=lambda key: _quoted(key if isinstance(key, str) else plain(key))
)


_SYMBOL = re.compile(r"(?!(?:null|true|false|nan)\Z)[A-Za-z_$][\w$]*", re.ASCII)


def _symbol(name: Any) -> str:
    text = name if isinstance(name, str) else plain(name)
    return text if _SYMBOL.fullmatch(text) else "'" + _quoted(text)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


_ION = _IonStyle(separators=(",", ":"), text=_quoted, key=_symbol)


class _Writer:
    """Writes one value in a style, within bounds: lists can share parts, and be longer in print than in memory."""

    def __init__(self, style: _Style) -> None:
        self._style = style
        self._written: list[str] = []
        self._left = MAX_TEXT

    def text(self, value: Any) -> str:
        """Give all of *value* as text."""
        self._value(value, 0)
        return "".join(self._written)

    def _put(self, piece: str) -> None:
        self._left -= len(piece)
        if self._left < 0 or len(self._written) > MAX_ITEMS:
            raise ExpressionError("value is too long to print", "pass big contents as files")
        self._written.append(piece)

    def _value(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"value is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            self._map(value, depth)
        elif isinstance(value, list | tuple | set | frozenset | range):
            self._list(value, depth)
        else:
            self._put(_scalar(value, self._style))

    def _map(self, value: Mapping[Any, Any], depth: int) -> None:
        separator = "{"
        for key, item in value.items():
            self._put(separator + self._style.key(key) + self._style.key_separator)
            self._value(item, depth + 1)
            separator = self._style.item_separator
        self._put("}" if value else "{}")

    def _list(self, value: Collection[Any], depth: int) -> None:
        separator = "["
        for item in value:
            self._put(separator)
            self._value(item, depth + 1)
            separator = self._style.item_separator
        self._put("]" if value else "[]")


def _scalar(value: Any, style: _Style) -> str:
    if isinstance(value, str):
        return style.text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return style.number(value)
    if isinstance(value, date):
        return style.date(value)
    raise ExpressionError(f"cannot print a value of type {type(value).__name__}")
