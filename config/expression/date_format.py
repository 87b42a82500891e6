"""Date patterns in the letters of java.time.format.DateTimeFormatter, to write and to read; English names only."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MAX_PATTERN = 200

_PIECE = re.compile(
    r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<optional>[\[\]])|(?P<literal>[^A-Za-z'\[\]])"
)
_OFFSET = re.compile(r"(?P<sign>[-+])(?P<hours>\d\d):?(?P<minutes>\d\d)?(?::?(?P<seconds>\d\d))?")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a pattern: literal *text*, or a *letter* repeated *count* times; ``[`` and ``]`` count as letters."""

    text: str = ""
    letter: str = ""
    count: int = 0


def write_date(pattern: str, moment: datetime) -> str:
    """
    Write the aware *moment* by a Java pattern such as ``yyyy-MM-dd'T'HH:mm:ssXXX``.

    Raises:
        ExpressionError: the pattern is malformed or has a letter that is not supported.
    """
    return "".join(_written(piece, moment, pattern) for piece in _pieces(pattern))


def read_date(pattern: str, text: str, zone: tzinfo) -> datetime:
    """
    Read *text* by a Java pattern; what the pattern lacks is the first day, midnight and *zone*.

    Raises:
        ExpressionError: the text does not fit the pattern, or the pattern has a letter that cannot be read.
    """
    pieces = list(_pieces(pattern))
    match = re.fullmatch(
        "".join(_readable(piece, index, pattern) for index, piece in enumerate(pieces)), text.strip(), re.IGNORECASE
    )
    if match is None:
        raise ExpressionError(f"date '{text}' does not fit the format '{pattern}'")
    found = {
        piece.letter: (match[f"g{index}"], piece.count)
        for index, piece in enumerate(pieces)
        if piece.letter in _READERS and match[f"g{index}"] is not None
    }
    try:
        return _assembled(found, zone)
    except ValueError as error:
        raise ExpressionError(f"date '{text}' does not exist: {error}") from error


def _pieces(pattern: str) -> Iterator[Piece]:
    if len(pattern) > MAX_PATTERN:
        raise ExpressionError("date format is too long")
    at = 0
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        if match is None:
            raise ExpressionError(f"date format '{pattern}' has a quote that is not closed")
        at = match.end()
        if match["letters"]:
            yield Piece(letter=match["letters"][0], count=len(match["letters"]))
        elif match["optional"]:
            yield Piece(letter=match["optional"], count=1)
        else:
            quoted = match["quoted"]
            yield Piece(text=match["literal"] if quoted is None else quoted.replace("''", "'") or "'")


def _written(piece: Piece, moment: datetime, pattern: str) -> str:
    if not piece.letter:
        return piece.text
    if piece.letter in "[]":
        return ""
    writer = _WRITERS.get(piece.letter)
    if writer is None:
        raise ExpressionError(
            f"date format '{pattern}' has the letter '{piece.letter}', which is not supported",
            "formats are Java's, such as yyyy-MM-dd HH:mm:ss",
        )
    return writer(moment, piece.count)


def _number(value: int, count: int) -> str:
    return str(value).rjust(count, "0")


def _year(moment: datetime, count: int) -> str:
    return f"{moment.year % 100:02}" if count == 2 else _number(moment.year, count)


def _named(names: tuple[str, ...], value: int, count: int) -> str:
    if count < 3:
        return _number(value, count)
    name = names[value - 1]
    return {3: name[:3], 4: name}.get(count, name[:1])


def _day_of_week(moment: datetime, count: int) -> str:
    return _named(DAYS, moment.isoweekday(), max(count, 3))


def _quarter(moment: datetime, count: int) -> str:
    quarter = (moment.month + 2) // 3
    ordinal = ("1st", "2nd", "3rd", "4th")[quarter - 1]
    return _number(quarter, count) if count < 3 else f"Q{quarter}" if count == 3 else f"{ordinal} quarter"


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond:06}".ljust(9, "0")[:count]


def _milliseconds_of_day(moment: datetime) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000


def _offset_text(moment: datetime, count: int, *, zero: str | None) -> str:
    offset = moment.utcoffset() or timedelta()
    if not offset and zero is not None:
        return zero
    total = int(abs(offset).total_seconds())
    hours, minutes, seconds = total // 3600, total // 60 % 60, total % 60
    colon = ":" if count in {3, 5} else ""
    text = f"{'-' if offset < timedelta() else '+'}{hours:02}"
    text += f"{colon}{minutes:02}" if count > 1 or minutes else ""
    return text + (f"{colon}{seconds:02}" if count > 3 and seconds else "")


def _basic_offset(moment: datetime, count: int) -> str:
    if count == 4:
        return "GMT" + (_offset_text(moment, 3, zero="") if moment.utcoffset() else "")
    return _offset_text(moment, 5, zero="Z") if count == 5 else _offset_text(moment, 2, zero=None)


def _zone_id(moment: datetime) -> str:
    name = getattr(moment.tzinfo, "key", None)
    return str(name) if name else _offset_text(moment, 3, zero="Z")


def _zone_name(moment: datetime, _count: int) -> str:
    name = moment.tzname() or ""
    return name if name.isalpha() else _zone_id(moment)


def _localized_offset(moment: datetime, count: int) -> str:
    text = _offset_text(moment, 3, zero="")
    if count < 4 and text:
        text = f"{text[0]}{int(text[1:3])}" + ("" if text.endswith(":00") else text[3:])
    return "GMT" + text


_WRITERS: Mapping[str, Callable[[datetime, int], str]] = MappingProxyType(
    {
        "y": _year,
        "u": _year,
        "Y": lambda moment, count: _year(moment.replace(year=moment.isocalendar().year, day=1), count),
        "M": lambda moment, count: _named(MONTHS, moment.month, count),
        "L": lambda moment, count: _named(MONTHS, moment.month, count),
        "d": lambda moment, count: _number(moment.day, count),
        "D": lambda moment, count: _number(moment.timetuple().tm_yday, count),
        "Q": _quarter,
        "q": _quarter,
        "w": lambda moment, count: _number(moment.isocalendar().week, count),
        "E": _day_of_week,
        "e": lambda moment, count: _named(DAYS, moment.isoweekday(), count),
        "a": lambda moment, _count: "AM" if moment.hour < 12 else "PM",
        "H": lambda moment, count: _number(moment.hour, count),
        "k": lambda moment, count: _number(moment.hour or 24, count),
        "K": lambda moment, count: _number(moment.hour % 12, count),
        "h": lambda moment, count: _number(moment.hour % 12 or 12, count),
        "m": lambda moment, count: _number(moment.minute, count),
        "s": lambda moment, count: _number(moment.second, count),
        "S": _fraction,
        "n": lambda moment, count: _number(moment.microsecond * 1000, count),
        "A": lambda moment, count: _number(_milliseconds_of_day(moment), count),
        "G": lambda _moment, count: "Anno Domini" if count == 4 else "A" if count == 5 else "AD",
        "X": lambda moment, count: _offset_text(moment, count, zero="Z"),
        "x": lambda moment, count: _offset_text(moment, count, zero=None),
        "Z": _basic_offset,
        "O": _localized_offset,
        "V": lambda moment, _count: _zone_id(moment),
        "z": _zone_name,
    }
)


def _readable(piece: Piece, index: int, pattern: str) -> str:
    """Give the regular expression that reads one piece, in a group of its own."""
    if not piece.letter:
        return re.escape(piece.text)
    if piece.letter in "[]":
        return "(?:" if piece.letter == "[" else ")?"
    if piece.letter not in _READERS:
        raise ExpressionError(f"cannot read dates by the letter '{piece.letter}' of the format '{pattern}'")
    return f"(?P<g{index}>{_READERS[piece.letter](piece.count)})"


def _digits(count: int) -> str:
    return r"\d{1,2}" if count == 1 else rf"\d{{{count}}}"


def _names(names: tuple[str, ...]) -> str:
    return "|".join(f"{name}|{name[:3]}" for name in names)


_OFFSET_PATTERN = r"Z|[-+]\d\d(?::?\d\d){0,2}"
_READERS: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "y": lambda count: r"\d{2}" if count == 2 else r"\d{1,4}" if count == 1 else rf"\d{{{count}}}",
        "u": lambda count: r"\d{2}" if count == 2 else r"\d{1,4}" if count == 1 else rf"\d{{{count}}}",
        "M": lambda count: _digits(count) if count < 3 else _names(MONTHS),
        "L": lambda count: _digits(count) if count < 3 else _names(MONTHS),
        "d": _digits,
        "H": _digits,
        "h": _digits,
        "m": _digits,
        "s": _digits,
        "S": lambda count: rf"\d{{{count}}}",
        "E": lambda _count: _names(DAYS),
        "a": lambda _count: "AM|PM",
        "X": lambda _count: _OFFSET_PATTERN,
        "x": lambda _count: _OFFSET_PATTERN,
        "Z": lambda _count: _OFFSET_PATTERN,
    }
)


def _assembled(found: Mapping[str, tuple[str, int]], zone: tzinfo) -> datetime:
    def value(letters: str, otherwise: int) -> int:
        return next((int(found[letter][0]) for letter in letters if letter in found), otherwise)

    year_text = next((found[letter][0] for letter in "yu" if letter in found), "1970")
    year = int(year_text) + (2000 if len(year_text) == 2 else 0)
    hour = value("H", value("h", 0) % 12 + (12 if found.get("a", ("", 0))[0].upper() == "PM" else 0))
    fraction = found.get("S", ("0", 1))[0]
    offset = next((parse_offset(found[letter][0]) for letter in "XxZ" if letter in found), zone)
    return datetime(
        year,
        _month(found),
        value("d", 1),
        hour,
        value("m", 0),
        value("s", 0),
        int(fraction.ljust(6, "0")[:6]),
        tzinfo=offset,
    )


def _month(found: Mapping[str, tuple[str, int]]) -> int:
    text = next((found[letter][0] for letter in "ML" if letter in found), "1")
    if text.isdigit():
        return int(text)
    return [name[:3].lower() for name in MONTHS].index(text[:3].lower()) + 1


def parse_offset(text: str) -> tzinfo:
    """
    Read an offset such as ``Z``, ``+02`` or ``-05:30``.

    Raises:
        ValueError: it is none.
    """
    if text.upper() == "Z":
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an offset from UTC")
    parts: Mapping[str, Any] = match.groupdict("0")
    length = timedelta(hours=int(parts["hours"]), minutes=int(parts["minutes"]), seconds=int(parts["seconds"]))
    return timezone(-length if parts["sign"] == "-" else length)
