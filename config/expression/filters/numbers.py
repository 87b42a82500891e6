"""Filters on numbers."""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.values import is_number, kind, text_of

_PATTERN = re.compile(
    r"(?P<prefix>(?:'[^']*'|[^#0,.'])*+)(?P<whole>[#0,]*)(?:\.(?P<fraction>0*#*))?(?P<suffix>(?:'[^']*'|[^#0,.'])*+)"
)
_INTEGER = re.compile(r"[-+]?\d{1,400}")
_MAX_DIGITS = 400
_MAX_PATTERN = 200


def absolute(subject: Any) -> Any:
    """Give the number without its sign."""
    if subject is None:
        return None
    if not is_number(subject):
        raise ExpressionError(f"works on a number, got {kind(subject)}")
    return abs(subject)


def number(subject: Any, type_: Any = None) -> Any:
    """
    Read a number from text: INT, LONG, FLOAT, DOUBLE, BIGINTEGER or BIGDECIMAL, by default the simplest that fits.

    Raises:
        ExpressionError: the operand is no text, or the text is no such number.
    """
    if subject is None:
        return None
    text = text_of(subject).strip()
    wanted = None if type_ is None else text_of(type_, "type").upper()
    if wanted not in _READERS:
        raise ExpressionError(f"type must be one of {', '.join(filter(None, _READERS))}, got '{type_}'")
    try:
        return _READERS[wanted](text)
    except (ValueError, InvalidOperation) as error:
        raise ExpressionError(f"'{text}' is not a number") from error


def number_format(subject: Any, format_: Any = None) -> str | None:
    """Write a number by a pattern of java.text.DecimalFormat, such as ``#,##0.00``, rounded half to even."""
    if subject is None:
        return None
    if not is_number(subject):
        raise ExpressionError(f"works on a number, got {kind(subject)}")
    given = text_of("#,##0.###" if format_ is None else format_, "format")
    if len(given) > _MAX_PATTERN:
        raise ExpressionError("number format is too long")
    pattern, _, negative = given.partition(";")
    match, below = _PATTERN.fullmatch(pattern), _PATTERN.fullmatch(negative) if negative else None
    if match is None or not (match["whole"] or match["fraction"]):
        raise ExpressionError(f"'{format_}' is not a number format")
    try:
        with localcontext(prec=_MAX_DIGITS):
            return _formatted(Decimal(str(subject)), match, below)
    except InvalidOperation as error:
        raise ExpressionError(f"cannot write {subject} by a pattern") from error


def _formatted(value: Decimal, pattern: re.Match[str], negative: re.Match[str] | None) -> str:
    fraction = pattern["fraction"] or ""
    if "%" in pattern["prefix"] + pattern["suffix"]:
        value *= 100
    rounded = value.quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_EVEN)
    whole, _, decimals = f"{abs(rounded):f}".partition(".")
    decimals = decimals[: fraction.count("0")] + decimals[fraction.count("0") :].rstrip("0")
    minimum = pattern["whole"].count("0")
    whole = whole.lstrip("0").rjust(minimum, "0") or ("" if decimals else "0")
    text = _grouped(whole, pattern["whole"]) + ("." if decimals else "") + decimals
    around = negative if negative and rounded < 0 else pattern
    sign = "-" if rounded < 0 and not negative else ""
    return sign + _literal(around["prefix"]) + text + _literal(around["suffix"])


def _literal(affix: str) -> str:
    """Take the quotes off; two of them stand for one."""
    return affix.replace("''", "\0").replace("'", "").replace("\0", "'")


def _grouped(digits: str, pattern: str) -> str:
    _, comma, group = pattern.rpartition(",")
    if not comma or not group:
        return digits
    head = len(digits) % len(group)
    parts = [digits[:head]] if head else []
    return ",".join(parts + [digits[start : start + len(group)] for start in range(head, len(digits), len(group))])


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _simplest(text: str) -> int | float:
    return _integer(text) if _INTEGER.fullmatch(text) else _float(text)


def _float(text: str) -> float:
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_DIGITS:
        raise ValueError(text)
    value = Decimal(text)
    if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
        raise ValueError(text)
    return value


_READERS: Mapping[str | None, Callable[[str], Any]] = MappingProxyType(
    {
        None: _simplest,
        "INT": _integer,
        "LONG": _integer,
        "FLOAT": _float,
        "DOUBLE": _float,
        "BIGINTEGER": _integer,
        "BIGDECIMAL": _decimal,
    }
)

FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "abs": absolute,
        "number": number,
        "numberFormat": number_format,
        "numberformat": number_format,
    }
)
