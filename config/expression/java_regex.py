"""Regular expressions in Java's spelling."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.values import MAX_TEXT, text_of

_MAX_PATTERN = 10_000
_MAX_MATCHES = 200_000
_MAX_STEPS = 10_000_000  # some 200 ms
_REFERENCE = re.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}|(\$)", re.DOTALL)
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")
_ESCAPE = re.compile(r"\\(?:(?P<class>[pP])\{(?:Is)?(?P<name>\w+)\}|(?P<end>z)|.)", re.DOTALL)
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "Alpha": "a-zA-Z",
        "Digit": "0-9",
        "Alnum": "a-zA-Z0-9",
        "Upper": "A-Z",
        "Lower": "a-z",
        "Space": r"\s",
        "Punct": r"!-/:-@\[-`{-~",
        "XDigit": "0-9a-fA-F",
    }
)
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_OPAQUE = re.compile(r"\\[\dkgxuUN]|\(\?(?:P=|\()|[^\x00-\x7f]")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_QUANTIFIER = re.compile(r"(?P<any>[*+]|\{\d+,\})|\{(?P<least>\d*),?(?P<most>\d*)\}|(?P<either>\||(?<!\()\?)")


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern matched in *text*: the span of the whole and of each group, (-1, -1) for one without a part."""

    text: str
    spans: tuple[tuple[int, int], ...]
    names: Mapping[str, int]

    def group(self, which: int | str) -> str | None:
        """Give the text of a group, None if it took no part. Raises IndexError: there is no such group."""
        index = self.names.get(which, -1) if isinstance(which, str) else which
        if not 0 <= index < len(self.spans):
            raise IndexError(which)
        start, end = self.spans[index]
        return None if start < 0 else self.text[start:end]


class JavaRegex:
    """Finds the matches of regular expressions; those that could take long are confined."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement

    def fullmatch(self, pattern: object, text: str) -> bool:
        """Tell whether *pattern* matches all of *text*. Raises as `find`."""
        return bool(self._matches(pattern, text, most=1, whole=True))

    def find(self, pattern: object, text: str, most: int | None = None) -> list[Match]:
        """
        Give the matches of *pattern* in *text*, all of them or the first *most*.

        Raises:
            ExpressionError: it is no regular expression, takes too long, or matches too often.
        """
        found = self._matches(pattern, text, most or _MAX_MATCHES + 1, whole=False)
        if len(found) > _MAX_MATCHES:
            raise ExpressionError(f"regular expression '{pattern}' matches more than {_MAX_MATCHES} times")
        return found

    def _matches(self, pattern: object, text: str, most: int, *, whole: bool) -> list[Match]:
        source = text_of(pattern, "regular expression")
        if len(source) > _MAX_PATTERN:
            raise ExpressionError("regular expression is too long")
        translated = _translated(source)
        try:
            if steps(source, len(text), whole=whole) <= _MAX_STEPS:
                return _found(translated, text, most, whole=whole)
            request = {"pattern": translated, "text": text, "most": most, "whole": whole}
            answer = self._confinement.ask(request)
            return [Match(text, tuple((start, end) for start, end in spans), _names(translated)) for spans in answer]
        except (ValueError, re.error, OverflowError, RecursionError) as error:
            raise ExpressionError(f"'{source}' is not a regular expression: {error}") from error
        except ExpressionError as error:
            raise ExpressionError(f"regular expression '{source}' {error.message}", error.hint) from error

    def replace_all(self, pattern: object, replacement: object, text: str) -> str:
        """
        Replace every match; ``$1`` and ``${name}`` in *replacement* stand for groups of the match, as in Java.

        Raises:
            ExpressionError: as `find`, or *replacement* names a group that *pattern* does not have.
        """
        template, pieces, end, length = text_of(replacement, "replacement"), [], 0, 0
        for match in self.find(pattern, text):
            new = _expanded(template, match, pattern)
            pieces += [text[end : match.spans[0][0]], new]
            end = match.spans[0][1]
            length += len(new)
            if length > MAX_TEXT:
                raise ExpressionError("text is too long after replacing", "pass big contents as files")
        return "".join([*pieces, text[end:]])

    def split(self, text: str, pattern: object, limit: int = 0) -> list[str]:
        """
        Split *text* at each match of *pattern*, as Java's ``String.split`` does.

        A positive *limit* is the greatest number of parts; with 0 empty parts at the end are left out.
        """
        parts: list[str] = []
        start = 0
        for match in self.find(pattern, text):
            if limit > 0 and len(parts) == limit - 1:
                break
            first, last = match.spans[0]
            inside = last > 0 and first < len(text)
            if inside or last > first:
                parts.append(text[start:first])
                start = last
        parts.append(text[start:])
        while limit == 0 and len(parts) > 1 and not parts[-1]:
            parts.pop()
        return parts


def steps(pattern: str, length: int, *, whole: bool) -> float:
    """
    Give an upper bound of the steps *pattern* takes on a text of *length*, infinite when there is no easy one.

    Each unbounded repetition can end anywhere, a search can start anywhere, each option and alternative doubles the
    ways; a repeated group, a reference to one, and characters with many spellings are not looked into.
    """
    plain = _ATOM.sub("x", pattern)
    if _OPAQUE.search(pattern) or _REPEATED_GROUP.search(plain):
        return float("inf")
    repeats, weight, ways = int(not whole), 1, 1.0
    for found in _QUANTIFIER.finditer(plain):
        least, most = int((found["least"] or "0")[:9]), int((found["most"] or found["least"] or "0")[:9])
        repeats += bool(found["any"])
        weight += most
        ways *= 2 if found["either"] else max(most - least + 1, 1)
    return min(float(max(length, 2)) ** min(repeats, 50) * weight * min(ways, 1e50), 1e300)


@functools.lru_cache(maxsize=256)
def compiled(pattern: object) -> re.Pattern[str]:
    """
    Compile *pattern* for use on short texts by who accepts that it runs unconfined; `re` keeps the most recent ones.

    Raises:
        ExpressionError: it is no regular expression.
    """
    source = text_of(pattern, "regular expression")
    if len(source) > _MAX_PATTERN:
        raise ExpressionError("regular expression is too long")
    try:
        return re.compile(_translated(source))
    except (ValueError, re.error, OverflowError, RecursionError) as error:
        raise ExpressionError(f"'{source}' is not a regular expression: {error}") from error


def _translated(source: str) -> str:
    """Give *source* in Python's spelling."""
    return _ESCAPE.sub(lambda found: _escape(found, source), _NAMED_GROUP.sub("(?P<", source))


def _escape(found: re.Match[str], source: str) -> str:
    if found["end"]:
        return r"\Z"
    if not found["class"]:
        return found[0]
    if found["name"] not in _CLASSES:
        raise ExpressionError(f"regular expression '{source}' has the class '{found[0]}', which is not supported")
    before = source[: found.start()]
    if before.count("[") > before.count("]"):
        return _CLASSES[found["name"]]
    return f"[{'^' if found['class'] == 'P' else ''}{_CLASSES[found['name']]}]"


def _found(pattern: str, text: str, most: int, *, whole: bool) -> list[Match]:
    compiled = re.compile(pattern)
    names = MappingProxyType(compiled.groupindex)
    matches: list[Match] = []
    for match in filter(None, [compiled.fullmatch(text)]) if whole else compiled.finditer(text):
        if len(matches) >= most:
            break
        matches.append(Match(text, tuple(match.span(group) for group in range(compiled.groups + 1)), names))
    return matches


def _names(pattern: str) -> Mapping[str, int]:
    """Number the named groups of a pattern that is known to compile, without compiling it."""
    groups = re.findall(r"\((?!\?)|\(\?P<(\w+)>", re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern))
    return {name: number for number, name in enumerate(groups, 1) if name}


def _expanded(template: str, match: Match, pattern: Any) -> str:
    try:
        return _REFERENCE.sub(lambda found: _referenced(found, match), template)
    except IndexError as error:
        raise ExpressionError(f"replacement '{template}' names a group that '{pattern}' does not have") from error


def _referenced(found: re.Match[str], match: Match) -> str:
    escaped, number, name, stray = found.groups()
    if stray:
        raise ExpressionError("replacement has a '$' without a group", "write \\$ for a dollar sign")
    return escaped or match.group(int(number) if number else name) or ""
