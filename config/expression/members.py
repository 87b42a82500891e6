"""What ``a.b``, ``a['b']`` and ``a.b()`` may reach: keys, indexes, and the few Java methods that flows use."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.operators import contains, equal
from tidewaiter.config.expression.printing import plain
from tidewaiter.config.expression.values import Undefined, bounded, kind, replaced, similar, text_of, whole


def attribute(value: Any, key: Any, path: str) -> Any:
    """
    Give what *key* means for *value*: the entry of a map, the item of a list, or a method without arguments, called.

    `Undefined` under the name *path* when there is no such thing; an undefined *value* or *key* is given back.
    """
    if isinstance(value, Undefined):
        return value
    if isinstance(key, Undefined):
        return key
    if isinstance(value, Mapping):
        return _entry(value, key, path)
    if isinstance(value, list | tuple | range):
        index = _index(key)
        if index is not None:
            return value[index] if 0 <= index < len(value) else Undefined(path)
    found = _methods(value).get(key) if isinstance(key, str) else None
    return found(value) if found in _PROPERTIES else Undefined(path)


def method(
    value: Any, name: str, path: str, arguments: Sequence[Any], text_methods: Mapping[str, Callable[..., Any]]
) -> Any:
    """
    Call the Java method *name* of *value*; *text_methods* are further ones of strings.

    Raises:
        ExpressionError: *value* has no such method, or not with these arguments.
    """
    for one in (value, *arguments):
        if isinstance(one, Undefined):
            return one
    methods = {**_methods(value), **text_methods} if isinstance(value, str) else _methods(value)
    if name not in methods:
        hint = next((f"did you mean '{other}'?" for other in similar(name, methods)), None)
        raise ExpressionError(f"{kind(value)} has no method '{name}' that expressions may call, in '{path}'", hint)
    try:
        return methods[name](value, *arguments)
    except TypeError as error:
        raise ExpressionError(f"method '{name}' cannot take these arguments, in '{path}'") from error


def _entry(value: Mapping[Any, Any], key: Any, path: str) -> Any:
    if isinstance(key, str | int | float | None):
        if key in value:
            return value[key]
        spelled = plain(key)
        if spelled in value:
            return value[spelled]
    return Undefined(path, tuple(name for name in value if isinstance(name, str)))


def _index(key: Any) -> int | None:
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10:
        return int(key)
    return None


def _methods(value: Any) -> Mapping[str, Callable[..., Any]]:
    if isinstance(value, str):
        return _STRING_METHODS
    if isinstance(value, Mapping):
        return _MAP_METHODS
    return _LIST_METHODS if isinstance(value, list | tuple | range) else _NO_METHODS


def _substring(text: str, start: Any, end: Any = None) -> str:
    first = whole(start, "start of a substring")
    last = len(text) if end is None else whole(end, "end of a substring")
    if not 0 <= first <= last <= len(text):
        raise ExpressionError(f"substring from {first} to {last} is outside of a text of {len(text)} characters")
    return text[first:last]


def _item(items: Any, index: Any) -> Any:
    position = whole(index, "index")
    if not 0 <= position < len(items):
        raise ExpressionError(f"index {position} is outside of a list of {len(items)} items")
    return items[position]


def _index_of(items: Any, wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if equal(item, wanted)), -1)


_STRING_METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "length": len,
        "isEmpty": lambda text: not text,
        "isBlank": lambda text: not text.strip(),
        "toUpperCase": str.upper,
        "toLowerCase": str.lower,
        "trim": str.strip,
        "strip": str.strip,
        "toString": str,
        "startsWith": lambda text, prefix: text.startswith(text_of(prefix, "prefix")),
        "endsWith": lambda text, suffix: text.endswith(text_of(suffix, "suffix")),
        "contains": lambda text, part: text_of(part, "part") in text,
        "equals": lambda text, other: text == other,
        "equalsIgnoreCase": lambda text, other: text.casefold() == text_of(other).casefold(),
        "indexOf": lambda text, part: text.find(text_of(part, "part")),
        "lastIndexOf": lambda text, part: text.rfind(text_of(part, "part")),
        "concat": lambda text, other: bounded(text + text_of(other)),
        "charAt": _item,
        "substring": _substring,
        "replace": lambda text, old, new: replaced(text, text_of(old), text_of(new)),
    }
)

_LIST_METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "size": len,
        "length": len,
        "isEmpty": lambda items: not items,
        "toString": plain,
        "contains": lambda items, wanted: contains(items, [wanted]),
        "get": _item,
        "indexOf": _index_of,
    }
)

_MAP_METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "size": len,
        "isEmpty": lambda entries: not entries,
        "toString": plain,
        "keySet": list,
        "values": lambda entries: list(entries.values()),
        "entrySet": lambda entries: [{"key": key, "value": value} for key, value in entries.items()],
        "containsKey": lambda entries, key: key in entries,
        "containsValue": lambda entries, value: any(equal(value, one) for one in entries.values()),
        "get": lambda entries, key: entries.get(key),
        "getOrDefault": lambda entries, key, default: entries.get(key, default),
    }
)

_NO_METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType({})

_PROPERTIES = frozenset(
    methods[name]
    for methods, names in (
        (_STRING_METHODS, ("length", "isEmpty", "isBlank", "toUpperCase", "toLowerCase", "trim")),
        (_LIST_METHODS, ("size", "isEmpty")),
    )
    for name in names
)
"""The methods that may also be written without parentheses; a map has only its keys."""
