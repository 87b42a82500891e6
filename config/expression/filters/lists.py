"""Filters on lists and maps."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.operators import equal, greater, is_empty
from tidewaiter.config.expression.printing import plain, to_json
from tidewaiter.config.expression.values import (
    MAX_ITEMS,
    MAX_TEXT,
    bounded,
    is_number,
    kind,
    sequence_of,
    text_of,
    whole,
)

_MAX_FLATTEN = 50


def default(subject: Any, default: Any) -> Any:
    """Give *default* for what is undefined, null, blank or empty, else *subject*."""
    return default if is_empty(subject) else subject


def first(subject: Any) -> Any:
    """Give the first item of a list or character of a text; null if there is none."""
    return next(iter(_items(subject)), None)


def last(subject: Any) -> Any:
    """Give the last item of a list or character of a text; null if there is none."""
    return next(reversed(_items(subject)), None)


def join(subject: Any, separator: Any = "") -> str | None:
    """Put the texts of the items one after the other with *separator* between them."""
    if subject is None:
        return None
    mark, texts, left = text_of(separator, "separator"), [], MAX_TEXT
    for item in sequence_of(subject):
        texts.append("" if item is None else plain(item))
        left -= len(texts[-1]) + len(mark)
        if left < 0:
            raise ExpressionError("text is too long after joining", "pass big contents as files")
    return mark.join(texts)


def length(subject: Any) -> int:
    """Count the characters of a text, the items of a list or the entries of a map; anything else has none."""
    return len(subject) if isinstance(subject, str | Mapping | list | tuple | set | range) else 0


def sort(subject: Any) -> list[Any] | None:
    """Sort a list of numbers or of strings, the least first."""
    return None if subject is None else _sorted(sequence_of(subject), reverse=False)


def rsort(subject: Any) -> list[Any] | None:
    """Sort a list of numbers or of strings, the greatest first."""
    return None if subject is None else _sorted(sequence_of(subject), reverse=True)


def reverse(subject: Any) -> Any:
    """Turn the order of a list or of a text around."""
    if subject is None:
        return None
    return subject[::-1] if isinstance(subject, str) else sequence_of(subject)[::-1]


def slice_(subject: Any, from_index: Any = 0, to_index: Any = None) -> Any:
    """Give the part of a list or text from *from_index* up to but not including *to_index*, both counted from 0."""
    if subject is None:
        return None
    items = subject if isinstance(subject, str) else sequence_of(subject)
    start, end = whole(from_index, "fromIndex"), len(items) if to_index is None else whole(to_index, "toIndex")
    if not 0 <= start <= end <= len(items):
        raise ExpressionError(f"slice from {start} to {end} is outside of the {len(items)} there are")
    return items[start:end]


def merge(subject: Any, items: Any) -> Any:
    """Put two lists one after the other, or the entries of two maps together; those of *items* win."""
    if isinstance(subject, Mapping):
        added = items if isinstance(items, Mapping) else {plain(item): None for item in _only_list(items)}
        return {**subject, **added}
    return bounded([*_only_list(subject), *_only_list(items)])


def flatten(subject: Any) -> list[Any] | None:
    """Replace every list in a list by its items, at any depth."""
    if subject is None:
        return None
    items = list(itertools.islice(_flat(sequence_of(subject), _MAX_FLATTEN), MAX_ITEMS + 1))
    return bounded(items)


def chunk(subject: Any, size: Any) -> list[list[Any]] | None:
    """Cut a list into lists of *size* items; the last may be shorter."""
    if subject is None:
        return None
    items, step = sequence_of(subject), whole(size, "size")
    if step < 1:
        raise ExpressionError(f"size must be at least 1, got {step}")
    return [items[start : start + step] for start in range(0, len(items), step)]


def distinct(subject: Any) -> Any:
    """Leave out the items of a list that are equal to an earlier one; null becomes the text ``null``, as in Kestra."""
    if subject is None:
        return "null"
    seen: dict[tuple[type, Any], Any] = {}
    for item in sequence_of(subject):
        plain_key = isinstance(item, str | int)
        seen.setdefault((type(item), item if plain_key else to_json(item)), item)
    return list(seen.values())


def keys(subject: Any) -> list[Any] | None:
    """List the keys of a map, or the indexes of a list."""
    if subject is None:
        return None
    return list(subject) if isinstance(subject, Mapping) else list(range(len(sequence_of(subject))))


def values(subject: Any) -> list[Any] | None:
    """List the values of a map."""
    if subject is None:
        return None
    if not isinstance(subject, Mapping):
        raise ExpressionError(f"works on a map, got {kind(subject)}")
    return list(subject.values())


def _items(subject: Any) -> Any:
    if subject is None:
        return []
    return subject if isinstance(subject, str) else sequence_of(subject)


def _only_list(value: Any) -> list[Any]:
    return sequence_of(value, "what is merged")


def _sorted(items: list[Any], *, reverse: bool) -> list[Any]:
    if all(isinstance(item, str) for item in items) or all(is_number(item) for item in items):
        return sorted(items, reverse=reverse)
    return sorted(items, key=functools.cmp_to_key(_compare), reverse=reverse)


def _compare(left: Any, right: Any) -> int:
    if equal(left, right):
        return 0
    return 1 if greater(left, right) else -1


def _flat(items: Iterable[Any], depth: int) -> Iterator[Any]:
    if not depth:
        raise ExpressionError(f"list is nested deeper than {_MAX_FLATTEN} levels")
    for item in items:
        if isinstance(item, list | tuple):
            yield from _flat(item, depth - 1)
        else:
            yield item


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "default": default,
        "first": first,
        "last": last,
        "join": join,
        "length": length,
        "sort": sort,
        "rsort": rsort,
        "reverse": reverse,
        "slice": slice_,
        "merge": merge,
        "flatten": flatten,
        "chunk": chunk,
        "distinct": distinct,
        "keys": keys,
        "values": values,
    }
)
