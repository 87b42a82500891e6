"""Annotated types for the properties of flows and settings, each with a message a flow author understands."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(
    r"(?P<sign>[-+]?)P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d{1,9})?)S)?)?",
    re.IGNORECASE,
)

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)

_UNITS: Mapping[str, int] = MappingProxyType(
    {"": 1, "B": 1}
    | {f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}
    | {f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
)


def parse_duration(text: str) -> timedelta:
    """
    Read an ISO-8601 duration such as ``PT1M30S`` or ``P1D``, as java.time.Duration does.

    Raises:
        ValueError: *text* is not a duration; years and months are refused because their length varies.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match[unit] for unit in ("weeks", "days", "hours", "minutes", "seconds")):
        raise ValueError(f"'{text}' is not an ISO-8601 duration, for example PT30S, PT5M or P1D")
    parts = {name: float(value.replace(",", ".")) for name, value in match.groupdict("0").items() if name != "sign"}
    duration = timedelta(**parts)
    return -duration if match["sign"] == "-" else duration


def format_duration(duration: timedelta) -> str:
    """Write *duration* as ISO-8601, in seconds and its larger units up to hours (``PT1H30M``)."""
    seconds = duration.total_seconds()
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = (
        (f"{hours:g}H" if hours else "") + (f"{minutes:g}M" if minutes else "") + (f"{seconds:g}S" if seconds else "")
    )
    return f"PT{parts or '0S'}"


def parse_size(text: str) -> int:
    """
    Read a number of bytes such as ``12``, ``5 MB`` (of 1000 KB) or ``1.5GiB`` (of 1024 MiB).

    Raises:
        ValueError: *text* is not one.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = match and next((unit for unit in _UNITS if unit.lower() == match[2].lower()), None)
    if match is None or unit is None:
        raise ValueError(f"'{text}' is not a size, for example 100, 5 MB or 10 MiB")
    return int(Decimal(match[1]) * _UNITS[unit])


def format_size(size: int) -> str:
    """Write *size* exactly, in the largest unit that divides it: ``10 MiB``, ``1500 KB``, ``12 B``."""
    fitting = [unit for unit, length in _UNITS.items() if unit and size and size % length == 0]
    unit = max(fitting, key=_UNITS.__getitem__, default="B")
    return f"{size // _UNITS[unit]} {unit}"


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except ValueError as error:
        raise PydanticCustomError("size", "{reason}", {"reason": str(error)}) from error


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from error


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise PydanticCustomError("duration", "must be longer than zero")
    return value


def _text(value: Any) -> Any:
    """Give scalars their YAML spelling: authors write ``env: {DEBUG: true, PORT: 8080}`` and mean text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _none_if_empty(value: str | None) -> str | None:
    return value or None


def _named(pattern: str, made_of: str) -> AfterValidator:
    """Check a name; the editor is told *pattern* by its schema, the author in words what a name is *made_of*."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise PydanticCustomError("name", "must be made of {made_of}", {"made_of": made_of})
        return value

    return AfterValidator(check)


def _namespace(value: str) -> str:
    if not all(value.split(".")):
        raise PydanticCustomError("name", "must have no empty part between dots")
    return value


DURATION_PATTERN = r"^\s*[-+]?[Pp](?=[\dTt])[\dWwDdTtHhMmSs.,]+\s*$"
"""What a duration looks like, for editors."""

SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*[A-Za-z]*\s*$"
"""What a number of bytes looks like, for editors."""

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
"""A length of time in ISO-8601; see `parse_duration`."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=0),
    WithJsonSchema({"type": ["integer", "string"], "pattern": SIZE_PATTERN}),
]
"""A number of bytes; see `parse_size`."""

PositiveDuration = Annotated[Duration, AfterValidator(_positive)]

Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""A string; numbers and booleans are taken in their YAML spelling, as Kestra does."""

Optional = Annotated[str | None, AfterValidator(_none_if_empty)]
"""Text, or None, which an empty text stands for: an expression may render to nothing."""

_ID = r"[a-zA-Z0-9][a-zA-Z0-9._-]*"
_NAMESPACE = r"[a-z0-9][a-z0-9._-]*"

Id = Annotated[
    str,
    StringConstraints(max_length=100),
    _named(_ID, "letters, digits, '.', '_' and '-', beginning with a letter or digit"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^{_ID}$", "maxLength": 100}),
]
"""The id of a flow, task or trigger (kestra.md §1.4)."""

Namespace = Annotated[
    str,
    StringConstraints(max_length=150),
    _named(_NAMESPACE, "small letters, digits, '.', '_' and '-', beginning with a letter or digit"),
    AfterValidator(_namespace),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAMESPACE}$", "maxLength": 150}),
]
"""A flow's namespace; dots separate its levels (kestra.md §1.4)."""
