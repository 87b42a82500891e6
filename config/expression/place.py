"""Where in a template something is wrong, in the words of the error message."""

import re
from typing import TypeVar

from tidewaiter.config.errors import ExpressionError

_EXCERPT = 120
_MESSAGE = 1000
_CLOSING = re.compile(r"-?[}%]\}")

E = TypeVar("E", bound=ExpressionError)


class MisplacedError(ExpressionError):
    """A mistake at *offset* of a template, found before it runs."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.offset = offset


def describe(source: str, offset: int) -> str:
    """Say where *offset* is: the expression around it, the line and the column, both counted from 1."""
    offset = min(offset, len(source))
    line = source.count("\n", 0, offset) + 1
    column = offset - source.rfind("\n", 0, offset)
    return f"in '{excerpt(source, offset)}' at line {line}, column {column}"


def excerpt(source: str, offset: int) -> str:
    """Give the expression or tag that *offset* is in, shortened when long; the source itself when there is none."""
    start = max(source.rfind(opening, 0, offset + 2) for opening in ("{{", "{%", "{#"))
    start = max(start, 0)
    closing = _CLOSING.search(source, max(start, offset))
    text = source[start : closing.end() if closing else len(source)]
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def located(error: E, source: str, offset: int) -> E:
    """Give *error* again with its place in *source* appended to the message, which is shortened when long."""
    message = error.message if len(error.message) <= _MESSAGE else error.message[: _MESSAGE - 1] + "…"
    return type(error)(f"{message} {describe(source, offset)}", error.hint)
