"""
Sets up structlog: JSON lines for machines, readable lines for a terminal, with the ids of what is going on bound by
context.
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

import structlog

Mask = Callable[[str], str]
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def set_up(form: Literal["json", "console"] | None, level: str, mask: Mask) -> None:
    """
    Log to stderr; *form* None means readable on a terminal and JSON elsewhere. *mask* is applied to every text.

    Control and bidirectional characters of foreign text (object keys!) are escaped, so that one record stays one line.
    """
    console = form == "console" or (form is None and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _Masking(mask, escape=console),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Other libraries: warnings and worse only; botocore at DEBUG would print request headers (reliability.md §4.3).
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )


class _Masking:
    """A structlog processor that cleans every value of an event."""

    def __init__(self, mask: Mask, *, escape: bool) -> None:
        self._mask = mask
        self._escape = escape

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            event[name] = self._clean(value, escape=self._escape and name != "exception")
        return event

    def _clean(self, value: Any, *, escape: bool) -> Any:
        if isinstance(value, str):
            text = self._mask(value)
            return printable(text) if escape else text
        if isinstance(value, Mapping):
            return {key: self._clean(item, escape=escape) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item, escape=escape) for item in value]
        return value


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor, colour it or reorder its text (reliability.md §4.1)."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
