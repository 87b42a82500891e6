"""The types of inputs (kestra.md §1.4): what counts as a value of each, and how two of them compare."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from tidewaiter.config.document import MAX_DEPTH, parse
from tidewaiter.config.errors import TidewaiterError
from tidewaiter.config.fields import parse_duration

InputType = Literal[
    "STRING", "ENUM", "SELECT", "INT", "FLOAT", "BOOLEAN", "BOOL", "DATETIME", "DATE", "TIME", "DURATION", "FILE",
    "JSON", "URI", "SECRET", "ARRAY", "MULTISELECT", "YAML", "EMAIL",
]  # fmt: skip

ORDERED = frozenset({"INT", "FLOAT", "DURATION", "DATE", "TIME", "DATETIME"})
"""Types whose values have an order."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_EMAIL = 10_000


def _check_depth(value: Any) -> None:
    """Raise `ValueError` if lists and maps are in each other more than `MAX_DEPTH` times."""
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [item for inner in layer for item in _items(inner)]
    if any(isinstance(item, Mapping | list | tuple) for item in layer):
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")


def converted(kind: str, item_kind: str | None, raw: Any) -> Any:
    """
    Give *raw* as a value of the type *kind*, of *item_kind* each if that is an ARRAY.

    Raises:
        ValueError: it is none, or lists and maps are in each other deeper than the rest of the daemon can take.
    """
    _check_depth(raw)
    value = (
        [_CONVERSIONS[item_kind or "STRING"](item) for item in listed(raw)]
        if kind == "ARRAY"
        else _CONVERSIONS[kind](raw)
    )
    _check_depth(value)
    return value


def listed(raw: Any) -> list[Any]:
    """Give *raw*, a list or text that is one as JSON. Raises `ValueError`: it is neither."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise ValueError("must be a list") from None
    if not isinstance(raw, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004 - every misfit is a ValueError here
    return list(raw)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def as_text(raw: Any) -> str:
    """Give any value as text; what is no plain one as JSON."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str | int | float):
        return str(raw)
    return json.dumps(raw, ensure_ascii=False, default=str)


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"[-+]?\d{1,18}", raw.strip(), re.ASCII):
        return int(raw)
    raise ValueError("must be a whole number")


def _float(raw: Any) -> float:
    try:
        number = float(Decimal(str(raw)))
    except (InvalidOperation, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in {"true", "false"}:
        return raw.strip().lower() == "true"
    raise ValueError("must be true or false")


def _json(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None


def _yaml(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return _document(raw)
    except TidewaiterError:
        raise ValueError("must be YAML") from None


def as_yaml(value: Any) -> str:
    """Write a plain value such that YAML reads the same: JSON's pairs of escapes, and its Infinity, are not YAML's."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[^\x00-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", text)


def _document(text: str) -> Any:
    document = parse(text, "input")
    if document.problems:
        raise ValueError("must be YAML")
    return document.data


def _uri(raw: Any) -> str:
    text = as_text(raw)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not (parts.netloc or parts.path.startswith("//") or "://" in text):
        raise ValueError("must be a URI")
    return text


def _email(raw: Any) -> str:
    text = as_text(raw)
    if len(text) > _LONGEST_EMAIL or not _EMAIL.fullmatch(text):
        raise ValueError("must be an e-mail address")
    return text


def _iso(what: str, parse: Callable[[str], Any]) -> Callable[[Any], str]:
    """Make the check of a text that *parse* must be able to read; the text itself is the value."""

    def check(raw: Any) -> str:
        text = as_text(raw).strip()
        try:
            parse(text)
        except ValueError:
            raise ValueError(f"must be {what}") from None
        return text

    return check


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(("STRING", "ENUM", "SELECT", "SECRET", "FILE"), as_text),
        **dict.fromkeys(("BOOLEAN", "BOOL"), _boolean),
        "INT": _integer,
        "FLOAT": _float,
        "JSON": _json,
        "YAML": _yaml,
        "URI": _uri,
        "EMAIL": _email,
        "MULTISELECT": lambda raw: [as_text(item) for item in listed(raw)],
        "DATETIME": _iso("a moment such as 2026-01-31T12:00:00Z", datetime.fromisoformat),
        "DATE": _iso("a date such as 2026-01-31", date.fromisoformat),
        "TIME": _iso("a time such as 12:30:00", time.fromisoformat),
        "DURATION": _iso("a duration such as PT1H", parse_duration),
    }
)


def order(kind: str, value: Any, bound: Any) -> int:
    """
    Give -1, 0 or 1 as *value* is less than, equal to or greater than *bound*; *kind* is one of `ORDERED`.

    Raises:
        ValueError: it cannot be compared.
    """
    try:
        left, right = (comparable(kind, item) for item in (value, bound))
    except OverflowError:
        raise ValueError("is too far away") from None
    return int(left > right) - int(left < right)


def comparable(kind: str, value: Any) -> Any:
    """Give *value* as what can be compared. Raises `ValueError`, TypeError or OverflowError: it is no such value."""
    if kind == "DURATION":
        return parse_duration(str(value))
    if kind == "DATETIME":
        moment = datetime.fromisoformat(str(value))
        return moment if moment.tzinfo is None else moment.astimezone().replace(tzinfo=None)
    if kind in {"DATE", "TIME"}:
        return (date if kind == "DATE" else time).fromisoformat(str(value)).isoformat()
    return value if isinstance(value, int | float) else float(value)
