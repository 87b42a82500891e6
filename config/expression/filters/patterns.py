"""Filters, operators and methods that work by regular expressions."""

from collections.abc import Callable, Mapping
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.filters.text import of_text
from tidewaiter.config.expression.java_regex import JavaRegex
from tidewaiter.config.expression.printing import plain
from tidewaiter.config.expression.values import MAX_TEXT, kind, propagating, replaced, whole

_MAX_PAIRS_TEXT = 8 * MAX_TEXT


class Patterns:
    """What templates do by regular expressions, on *regex*."""

    def __init__(self, regex: JavaRegex) -> None:
        self._regex = regex

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by the name they have in expressions."""
        return {
            "replace": of_text(self.replace),
            "split": of_text(self.split),
            "regexMatch": self.regex_match,
            "regexReplace": of_text(self.regex_replace),
            "regexExtract": of_text(self.regex_extract),
        }

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """The operators by the name they have in the grammar."""
        return {"matches": propagating(self.matches)}

    def text_methods(self) -> Mapping[str, Callable[..., Any]]:
        """The Java methods of strings."""
        return {
            "replaceAll": lambda text, pattern, new: self._regex.replace_all(pattern, new, text),
            "matches": lambda text, pattern: self._regex.fullmatch(pattern, text),
            "split": self._regex.split,
        }

    def matches(self, text: Any, pattern: Any) -> bool:
        """Tell whether *pattern* matches all of *text*; nothing matches null."""
        return text is not None and self._regex.fullmatch(pattern, plain(text))

    def replace(self, subject: str, replace_pairs: Any, regexp: Any = False) -> str:  # noqa: FBT002 - Kestra's argument
        """Replace each key of the map by its value, in order; with *regexp* the keys are regular expressions."""
        if not isinstance(replace_pairs, Mapping):
            raise ExpressionError(f"takes a map of what to replace, such as {{'a': 'b'}}, got {kind(replace_pairs)}")
        if len(subject) * len(replace_pairs) > _MAX_PAIRS_TEXT:
            raise ExpressionError("there is too much to replace", "pass big contents as files")
        for old, new in replace_pairs.items():
            pair = plain(old), plain(new)
            subject = self._regex.replace_all(*pair, subject) if regexp else replaced(subject, *pair)
        return subject

    def split(self, subject: str, delimiter: Any, limit: Any = 0) -> list[str]:
        """Split at each match of the regular expression *delimiter*, into at most *limit* parts if that is positive."""
        return self._regex.split(subject, delimiter, whole(limit, "limit"))

    def regex_match(self, subject: Any, regex: Any) -> bool:
        """Tell whether *regex* matches somewhere in *subject*; nothing matches null."""
        return subject is not None and bool(self._regex.find(regex, plain(subject), most=1))

    def regex_replace(self, subject: str, regex: Any, replacement: Any) -> str:
        """Replace every match of *regex*; ``$1`` stands for its first group."""
        return self._regex.replace_all(regex, replacement, subject)

    def regex_extract(self, subject: str, regex: Any, group: Any = 0) -> str | None:
        """Give the first match of *regex*, or a group of it; null if there is none."""
        found = self._regex.find(regex, subject, most=1)
        try:
            return found[0].group(whole(group, "group")) if found else None
        except IndexError as error:
            raise ExpressionError(f"regular expression has no group {group}") from error
