"""Filters on text."""

import functools
import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.printing import plain
from tidewaiter.config.expression.values import kind, replaced, text_of, whole

_MAX_PADDING = 1000
_MAX_LENGTH = 4 * 1024 * 1024
_NEWLINE = re.compile(r"\r\n|\n|\r")
_ESCAPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"single": ("'", "\\'"), "double": ('"', '\\"'), "shell": ("'", "'\\''")}
)


def of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give *function* its operand as text: null stays null, a number or boolean is spelled, a list or map refused."""

    @functools.wraps(function)
    def filtered(subject: Any, *arguments: Any, **named: Any) -> Any:
        if subject is None:
            return None
        if not isinstance(subject, str | int | float):
            raise ExpressionError(f"works on text, got {kind(subject)}")
        text = plain(subject)
        if len(text) > _MAX_LENGTH:
            raise ExpressionError(f"text of {len(text)} characters is too long", "work on big files in a script")
        return function(text, *arguments, **named)

    return filtered


@of_text
def lower(subject: str) -> str:
    """Give *subject* in lower case."""
    return subject.lower()


@of_text
def upper(subject: str) -> str:
    """Give *subject* in upper case."""
    return subject.upper()


@of_text
def capitalize(subject: str) -> str:
    """Give *subject* with its first letter in upper case; the rest stays."""
    start = len(subject) - len(subject.lstrip())
    return subject[:start] + subject[start : start + 1].upper() + subject[start + 1 :]


@of_text
def title(subject: str) -> str:
    """Give *subject* with the first letter of each word in upper case; the rest stays."""
    return re.sub(r"(?:^|(?<=\s))\S", lambda match: match[0].upper(), subject)


@of_text
def trim(subject: str) -> str:
    """Give *subject* without the blanks around it."""
    return subject.strip()


@of_text
def condense(subject: str) -> str:
    """Give *subject* with every run of blanks made one space, and none around it."""
    return " ".join(subject.split())


@of_text
def abbreviate(subject: str, length: Any) -> str:
    """Cut *subject* to *length* characters, three of which are dots if something was cut off."""
    width = whole(length, "length")
    if width < 0:
        raise ExpressionError("length must not be negative")
    if len(subject) <= width:
        return subject
    return subject[:width] if width <= 3 else subject[: width - 3] + "..."


@of_text
def slugify(subject: str) -> str:
    """Make an identifier of lower-case ASCII letters, digits and hyphens."""
    ascii_ = unicodedata.normalize("NFKD", subject.strip()).encode("ascii", "ignore").decode()
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w-]", "", re.sub(r"\s+", "-", ascii_))).strip("-").lower()


@of_text
def substring_before(subject: str, separator: Any) -> str:
    """Give what comes before the first *separator*; everything if there is none."""
    mark = text_of(separator, "separator")
    return subject.partition(mark)[0] if mark else ""


@of_text
def substring_before_last(subject: str, separator: Any) -> str:
    """Give what comes before the last *separator*; everything if there is none."""
    mark = text_of(separator, "separator")
    return subject.rpartition(mark)[0] if mark and mark in subject else subject


@of_text
def substring_after(subject: str, separator: Any) -> str:
    """Give what comes after the first *separator*; nothing if there is none."""
    mark = text_of(separator, "separator")
    return subject.partition(mark)[2] if mark else subject


@of_text
def substring_after_last(subject: str, separator: Any) -> str:
    """Give what comes after the last *separator*; nothing if there is none."""
    mark = text_of(separator, "separator")
    return subject.rpartition(mark)[2] if mark and mark in subject else ""


@of_text
def starts_with(subject: str, value: Any) -> bool:
    """Tell whether *subject* starts with *value*."""
    return subject.startswith(text_of(value))


@of_text
def ends_with(subject: str, value: Any) -> bool:
    """Tell whether *subject* ends with *value*."""
    return subject.endswith(text_of(value))


@of_text
def escape_char(subject: str, type_: Any) -> str:
    """Escape the quotes that *type_* names: ``single``, ``double``, or ``shell`` for single quotes in a shell."""
    if not isinstance(type_, str) or type_ not in _ESCAPES:
        raise ExpressionError(f"type must be one of {', '.join(_ESCAPES)}, got {type_!r}")
    old, new = _ESCAPES[type_]
    return replaced(subject, old, new)


@of_text
def shq(subject: str) -> str:
    """Quote *subject* as one word of a POSIX shell."""
    return shlex.quote(subject)


@of_text
def indent(subject: str, amount: Any, prefix: Any = " ") -> str:
    """Put *amount* times *prefix* before each line but the first."""
    return replaced(subject, _newline(subject), _newline(subject) + _padding(amount, prefix))


@of_text
def nindent(subject: str, amount: Any, prefix: Any = " ") -> str:
    """Start a new line, and put *amount* times *prefix* before each line."""
    return _newline(subject) + _padding(amount, prefix) + indent(subject, amount, prefix) if subject else ""


def _newline(text: str) -> str:
    found = _NEWLINE.search(text)
    return found[0] if found else "\n"


def _padding(amount: Any, prefix: Any) -> str:
    count = whole(amount, "amount")
    if not 0 <= count <= _MAX_PADDING:
        raise ExpressionError(f"amount must be from 0 to {_MAX_PADDING}, got {count}")
    return text_of(prefix, "prefix")[:_MAX_PADDING] * count


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "lower": lower,
        "upper": upper,
        "capitalize": capitalize,
        "title": title,
        "trim": trim,
        "condense": condense,
        "abbreviate": abbreviate,
        "slugify": slugify,
        "substringBefore": substring_before,
        "substringBeforeLast": substring_before_last,
        "substringAfter": substring_after,
        "substringAfterLast": substring_after_last,
        "startsWith": starts_with,
        "endsWith": ends_with,
        "escapeChar": escape_char,
        "shq": shq,
        "indent": indent,
        "nindent": nindent,
    }
)
