"""``pluginDefaults``: properties that every spec of a type has unless it says otherwise (kestra.md §1.4)."""

from collections.abc import Mapping, Sequence
from typing import Any

_WRITTEN = ("pluginDefaults", "taskDefaults")
_TYPED = ("tasks", "errors", "finally", "afterExecution", "triggers")


def with_defaults(data: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """
    Give the flow *data* with its plugin defaults filled in, everywhere below its tasks and triggers where a map has a
    ``type``, task runners included. *names* gives the current name behind a type's name.

    The spec's own value wins, unless the default is forced; of several defaults, a forced one, then the first in the
    list. Data without defaults is given back as it is; what is not well formed is left to the check of the model.
    """
    written = next((data[name] for name in _WRITTEN if name in data), None)
    entries = [entry for entry in written if _well_formed(entry)] if isinstance(written, list) else []
    if not entries:
        return data
    return {key: _filled(value, entries, names) if key in _TYPED else value for key, value in data.items()}


def _well_formed(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping) and isinstance(entry.get("type"), str) and isinstance(entry.get("values"), Mapping)
    )


def _filled(value: Any, entries: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(item, entries, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    filled = {key: _filled(item, entries, names) for key, item in value.items()}
    written = value.get("type")
    if not isinstance(written, str):
        return filled
    matching = [entry for entry in entries if _matches(entry["type"], written, names)]
    for entry in [item for item in matching if item.get("forced") is True]:
        filled = _merged(filled, entry["values"])
    for entry in [item for item in matching if item.get("forced") is not True]:
        filled = _merged(entry["values"], filled)
    return filled


def _matches(pattern: str, written: str, names: Mapping[str, str]) -> bool:
    """Whether *pattern* is the type that was *written*, under any of its names, or the beginning of its name."""
    current = names.get(written, written)
    return names.get(pattern, pattern) == current or any(name.startswith(pattern) for name in (written, current))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Give both, the values of *above* where both have one; maps are merged likewise."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            merged[key] = _merged(below[key], above[key])
    return merged
