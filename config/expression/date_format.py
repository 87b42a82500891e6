"""Date patterns in the letters of java.time.format.DateTimeFormatter, to write and to read."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.locales import ENGLISH, Names

MAX_PATTERN = 200
_MAX_AMBIGUOUS = 16

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


def write_date(pattern: str, moment: datetime, names: Names = ENGLISH) -> str:
    """
    Write the aware *moment* by a Java pattern such as ``yyyy-MM-dd'T'HH:mm:ssXXX``, with *names* of its language.

    Raises:
        ExpressionError: the pattern is malformed or has a letter that is not supported.
    """
    return "".join(_written(piece, moment, pattern, names) for piece in _pieces(pattern))


def read_date(pattern: str, text: str, zone: tzinfo, names: Names = ENGLISH) -> datetime:
    """
    Read *text* by a Java pattern, with *names* of its language.

    What the pattern lacks is the first day, midnight and *zone*.

    Raises:
        ExpressionError: the text does not fit the pattern, or the pattern has a letter that cannot be read.
    """
    pieces = _pieces(pattern)
    _verify_readable(pieces, text, pattern)
    match = re.fullmatch(
        "".join(_readable(piece, index, pattern, names) for index, piece in enumerate(pieces)),
        text.strip(),
        re.IGNORECASE,
    )
    if match is None:
        raise ExpressionError(f"date '{text}' does not fit the format '{pattern}'")
    found = {
        piece.letter: (match[f"g{index}"], piece.count)
        for index, piece in enumerate(pieces)
        if piece.letter in _READERS and match[f"g{index}"] is not None
    }
    try:
        return _assembled(found, zone, names)
    except ValueError as error:
        raise ExpressionError(f"date '{text}' does not exist: {error}") from error


def _verify_readable(pieces: Sequence[Piece], text: str, pattern: str) -> None:
    """Refuse what no regular expression can be made of, or only one that takes long."""
    depth = 0
    for piece in pieces:
        depth += {"[": 1, "]": -1}.get(piece.letter, 0)
        if depth < 0:
            break
    if depth:
        raise ExpressionError(f"date format '{pattern}' has a bracket without its other half")
    ambiguous = sum(piece.count == 1 or piece.count > 2 for piece in pieces if piece.letter)
    if ambiguous > _MAX_AMBIGUOUS or len(text) > MAX_PATTERN:
        raise ExpressionError(f"date format '{pattern}' is too complicated to read '{text[:MAX_PATTERN]}' by")


@functools.lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[Piece, ...]:
    return tuple(_cut(pattern))


def _cut(pattern: str) -> Iterator[Piece]:
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


def _written(piece: Piece, moment: datetime, pattern: str, names: Names) -> str:
    if not piece.letter:
        return piece.text
    if piece.letter in "[]":
        return ""
    if piece.letter in _NAMED and (piece.count > 2 or piece.letter == "E"):
        return _NAMED[piece.letter](names, moment, piece.count)
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


def _month_name(names: Names, moment: datetime, count: int) -> str:
    return _sized(names.months[moment.month - 1], names.short_months[moment.month - 1], count)


def _day_name(names: Names, moment: datetime, count: int) -> str:
    return _sized(names.days[moment.weekday()], names.short_days[moment.weekday()], count)


def _sized(name: str, short: str, count: int) -> str:
    return name if count == 4 else name[:1].upper() if count == 5 else short


_NAMED: Mapping[str, Callable[[Names, datetime, int], str]] = MappingProxyType(
    {"M": _month_name, "L": _month_name, "E": _day_name, "e": _day_name, "c": _day_name}
)


def _quarter(moment: datetime, count: int) -> str:
    quarter = (moment.month + 2) // 3
    ordinal = ("1st", "2nd", "3rd", "4th")[quarter - 1]
    return _number(quarter, count) if count < 3 else f"Q{quarter}" if count == 3 else f"{ordinal} quarter"


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond:06}".ljust(9, "0")[:count]


def _microseconds_of_day(moment: datetime) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond


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
        "M": lambda moment, count: _number(moment.month, count),
        "L": lambda moment, count: _number(moment.month, count),
        "d": lambda moment, count: _number(moment.day, count),
        "D": lambda moment, count: _number(moment.timetuple().tm_yday, count),
        "Q": _quarter,
        "q": _quarter,
        "w": lambda moment, count: _number(moment.isocalendar().week, count),
        "W": lambda moment, count: _number((moment.day + moment.replace(day=1).weekday() - 1) // 7 + 1, count),
        "F": lambda moment, count: _number((moment.day - 1) // 7 + 1, count),
        "e": lambda moment, count: _number(moment.isoweekday(), count),
        "c": lambda moment, count: _number(moment.isoweekday(), count),
        "a": lambda moment, _count: "AM" if moment.hour < 12 else "PM",
        "H": lambda moment, count: _number(moment.hour, count),
        "k": lambda moment, count: _number(moment.hour or 24, count),
        "K": lambda moment, count: _number(moment.hour % 12, count),
        "h": lambda moment, count: _number(moment.hour % 12 or 12, count),
        "m": lambda moment, count: _number(moment.minute, count),
        "s": lambda moment, count: _number(moment.second, count),
        "S": _fraction,
        "n": lambda moment, count: _number(moment.microsecond * 1000, count),
        "N": lambda moment, count: _number(_microseconds_of_day(moment) * 1000, count),
        "A": lambda moment, count: _number(_microseconds_of_day(moment) // 1000, count),
        "G": lambda _moment, count: "Anno Domini" if count == 4 else "A" if count == 5 else "AD",
        "X": lambda moment, count: _offset_text(moment, count, zero="Z"),
        "x": lambda moment, count: _offset_text(moment, count, zero=None),
        "Z": _basic_offset,
        "O": _localized_offset,
        "V": lambda moment, _count: _zone_id(moment),
        "z": _zone_name,
    }
)


def _readable(piece: Piece, index: int, pattern: str, names: Names) -> str:
    """Give the regular expression that reads one piece, in a group of its own."""
    if not piece.letter:
        return re.escape(piece.text)
    if piece.letter in "[]":
        return "(?:" if piece.letter == "[" else ")?"
    if piece.letter not in _READERS:
        raise ExpressionError(f"cannot read dates by the letter '{piece.letter}' of the format '{pattern}'")
    if piece.letter == "E" or (piece.letter in "ML" and piece.count > 2):
        known = names.days + names.short_days if piece.letter == "E" else names.months + names.short_months
        return f"(?P<g{index}>{'|'.join(map(re.escape, known))})"
    return f"(?P<g{index}>{_READERS[piece.letter](piece.count)})"


def _digits(count: int) -> str:
    return r"\d{1,2}" if count == 1 else rf"\d{{{count}}}"


_OFFSET_PATTERN = r"Z|[-+]\d\d(?::?\d\d){0,2}"
_READERS: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "y": lambda count: r"\d{2}" if count == 2 else r"\d{1,4}" if count == 1 else rf"\d{{{count}}}",
        "u": lambda count: r"\d{2}" if count == 2 else r"\d{1,4}" if count == 1 else rf"\d{{{count}}}",
        "M": _digits,
        "L": _digits,
        "d": _digits,
        "H": _digits,
        "h": _digits,
        "m": _digits,
        "s": _digits,
        "S": lambda count: rf"\d{{{count}}}",
        "E": _digits,
        "a": lambda _count: "AM|PM",
        "X": lambda _count: _OFFSET_PATTERN,
        "x": lambda _count: _OFFSET_PATTERN,
        "Z": lambda _count: _OFFSET_PATTERN,
    }
)


def _assembled(found: Mapping[str, tuple[str, int]], zone: tzinfo, names: Names) -> datetime:
    def value(letters: str, otherwise: int) -> int:
        return next((int(found[letter][0]) for letter in letters if letter in found), otherwise)

    year_text = next((found[letter][0] for letter in "yu" if letter in found), "1970")
    year = int(year_text) + (2000 if len(year_text) == 2 else 0)
    hour = value("H", value("h", 0) % 12 + (12 if found.get("a", ("", 0))[0].upper() == "PM" else 0))
    fraction = found.get("S", ("0", 1))[0]
    offset = next((parse_offset(found[letter][0]) for letter in "XxZ" if letter in found), zone)
    return datetime(
        year,
        _month(found, names),
        value("d", 1),
        hour,
        value("m", 0),
        value("s", 0),
        int(fraction.ljust(6, "0")[:6]),
        tzinfo=offset,
    )


def _month(found: Mapping[str, tuple[str, int]], names: Names) -> int:
    text = next((found[letter][0] for letter in "ML" if letter in found), "1")
    if text.isdigit():
        return int(text)
    known = [name.lower() for name in names.months + names.short_months]
    return known.index(text.lower()) % 12 + 1


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
