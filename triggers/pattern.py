"""
Patterns for whole keys with named parts: ``raw/{customer}/{date:%Y-%m-%d}/{name}.csv``.

Keys are hostile: what a pattern compiles to never looks back but for its last part, so matching takes time in
proportion to the key's length.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

_PART = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<format>[^{}]*))?\}|(?P<brace>[{}])|(?P<text>[^{}]+)")
_DIRECTIVE = re.compile("%(.)|([^%]+)|%", re.DOTALL)
_DIGITS: Mapping[str, str] = MappingProxyType(
    {
        "Y": "[0-9]{4}",
        "y": "[0-9]{2}",
        "m": "(?:0[1-9]|1[0-2])",
        "d": "(?:0[1-9]|[12][0-9]|3[01])",
        "j": "[0-3][0-9]{2}",
        "H": "(?:[01][0-9]|2[0-3])",
        "M": "[0-5][0-9]",
        "S": "[0-5][0-9]",
        "f": "[0-9]{6}",
    }
)


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """A compiled pattern. *names* are its captures in order, *dates* those that are dates with their formats."""

    source: str
    expression: re.Pattern[str]
    names: tuple[str, ...]
    dates: tuple[tuple[str, str], ...]

    def captures(self, key: str) -> dict[str, str] | None:
        """Give the parts of *key* by name, as text; None if the pattern does not mean it, or a date is none."""
        match = self.expression.fullmatch(key)
        if match is None:
            return None
        found = match.groupdict()
        return found if all(_is_date(found[name], layout) for name, layout in self.dates) else None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a pattern: text of a fixed length, or (*open*) a part that takes what it must."""

    expression: str
    name: str | None = None
    format: str | None = None
    open: bool = False


def compile_pattern(source: str) -> KeyPattern:
    """
    Compile *source* for whole keys. ``{x}`` takes one or more characters without a slash, as few as it can;
    ``{x:%Y%m%d}`` a date as strptime writes it, every number with all its digits.

    Raises:
        ValueError: a brace is alone, a name is used twice, a directive is not known, or nothing is between two parts.
    """
    pieces = tuple(_pieces(source))
    names = tuple(piece.name for piece in pieces if piece.name)
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice:
        raise ValueError(f"'{{{twice}}}' is there twice")
    touching = next((after for before, after in itertools.pairwise(pieces) if before.open and after.open), None)
    if touching:
        raise ValueError(f"there must be something between '{{{touching.name}}}' and the part before it")
    dates = tuple((piece.name, piece.format) for piece in pieces if piece.name and piece.format)
    return KeyPattern(source, re.compile(_expression(pieces), re.DOTALL), names, dates)


def _pieces(source: str) -> Iterator[_Piece]:
    for part in _PART.finditer(source):
        name, layout = part["name"], part["format"]
        if part["brace"]:
            raise ValueError(f"there is a stray '{part[0]}' at character {part.start() + 1}")
        if part["text"]:
            yield _Piece(re.escape(part["text"]))
        elif layout is None:
            yield _Piece(f"(?P<{name}>[^/]+", name, open=True)
        else:
            yield _Piece(f"(?P<{name}>{_date(layout)})", name, layout)


def _date(layout: str) -> str:
    directives = list(_DIRECTIVE.finditer(layout))
    unknown = next((found[0] for found in directives if found[1] not in {None, "%", *_DIGITS} or found[0] == "%"), None)
    if unknown:
        known = ", ".join(f"%{letter}" for letter in _DIGITS)
        raise ValueError(f"'{unknown}' is not a directive for dates here; there are {known} and %%")
    if not any(found[1] in _DIGITS for found in directives):
        raise ValueError(f"'{layout}' names no part of a date, such as %Y-%m-%d")
    return "".join(_DIGITS.get(found[1] or "") or re.escape(found[2] or "%") for found in directives)


def _expression(pieces: tuple[_Piece, ...]) -> str:
    """Let each open part end at the first place where what follows it fits, and never look back; the last may."""
    opens = [at for at, piece in enumerate(pieces) if piece.open]
    if not opens:
        return "".join(piece.expression for piece in pieces)
    text = "".join(piece.expression for piece in pieces[: opens[0]])
    for start, end in zip(opens, [*opens[1:], len(pieces)], strict=True):
        after = "".join(piece.expression for piece in pieces[start + 1 : end])
        part = f"{pieces[start].expression}?)"
        text += f"{part}{after}" if end == len(pieces) else f"(?>{part}{after})"
    return text


def _is_date(text: str, layout: str) -> bool:
    try:
        datetime.strptime(text, layout)  # noqa: DTZ007 - a date in a name has no zone
    except ValueError:
        return False
    return True
