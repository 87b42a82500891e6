"""Regular expressions in Java's spelling."""

import re

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.values import MAX_TEXT, text_of

_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z])")
_REFERENCE = re.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}|(\$)", re.DOTALL)
_MAX_PATTERN = 10_000


def compiled(pattern: object) -> re.Pattern[str]:
    """
    Compile *pattern*; `re` keeps the most recent ones.

    Raises:
        ExpressionError: it is no regular expression.
    """
    text = text_of(pattern, "regular expression")
    if len(text) > _MAX_PATTERN:
        raise ExpressionError("regular expression is too long")
    try:
        return re.compile(_NAMED_GROUP.sub("(?P<", text))
    except (re.error, OverflowError, RecursionError) as error:
        raise ExpressionError(f"'{text}' is not a regular expression: {error}") from error


def replace_all(pattern: object, replacement: object, text: str) -> str:
    """
    Replace every match; ``$1`` and ``${name}`` in *replacement* stand for groups of the match, as in Java.

    Raises:
        ExpressionError: *pattern* is no regular expression, or *replacement* names a group it does not have.
    """
    template, length = text_of(replacement, "replacement"), 0

    def expanded(match: re.Match[str]) -> str:
        nonlocal length
        new = _REFERENCE.sub(lambda found: _referenced(found, match), template)
        length += len(new)
        if length > MAX_TEXT:
            raise ExpressionError("text is too long after replacing", "pass big contents as files")
        return new

    try:
        return compiled(pattern).sub(expanded, text)
    except IndexError as error:
        raise ExpressionError(f"replacement '{template}' names a group that '{pattern}' does not have") from error


def split(text: str, pattern: object, limit: int = 0) -> list[str]:
    """
    Split *text* at each match of *pattern*, as Java's ``String.split`` does.

    A positive *limit* is the greatest number of parts; with 0 empty parts at the end are left out.
    """
    parts: list[str] = []
    start = 0
    for match in compiled(pattern).finditer(text):
        if limit > 0 and len(parts) == limit - 1:
            break
        inside = match.end() > 0 and match.start() < len(text)
        if inside or match.end() > match.start():
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    while limit == 0 and len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def _referenced(found: re.Match[str], match: re.Match[str]) -> str:
    escaped, number, name, stray = found.groups()
    if stray:
        raise ExpressionError("replacement has a '$' without a group", "write \\$ for a dollar sign")
    return escaped or match[int(number) if number else name] or ""
