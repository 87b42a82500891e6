"""Inputs from outside, as bad as they come: each is taken or refused, at once, and nothing else happens."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.config.errors import ConfigError
from tidewaiter.config.inputs import Input, InputError, as_given, typed_inputs

KINDS = [
    "STRING", "INT", "FLOAT", "BOOLEAN", "DATETIME", "DATE", "TIME", "DURATION", "FILE", "JSON", "URI", "SECRET",
    "MULTISELECT", "YAML", "EMAIL", "ENUM",
]  # fmt: skip
TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        *("NaN", "sNaN", "Infinity", "1e999", "9" * 5000, "-0", "P999999999D", "PT1E9S", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-14:00", "http://[", "a@b", "[" * 2000, "[" * 945 + "]" * 945, "{" * 70, "&a [*a]"),
        *("&a {<<: *a}", "? [x] : y", "!!python/object:os.system x", "\x00", "\ud800", '"' * 3),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
BOUNDS = {
    "INT": {"min": 1, "max": 5}, "FLOAT": {"min": 0.5, "max": 2}, "DURATION": {"min": "PT1S", "max": "PT1H"},
    "DATE": {"after": "2026-01-01"}, "TIME": {"before": "12:00:00"}, "DATETIME": {"after": "2026-01-01T00:00:00Z"},
}  # fmt: skip


def spec(kind: str, **more: Any) -> Input:
    values = {"values": ["a", "b"]} if kind in {"ENUM", "MULTISELECT"} else {}
    return Input.model_validate({"id": "x", "type": kind, **values, **more})


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(KINDS), value=VALUES, bounded=st.booleans(), listed=st.booleans())
def test_any_value_is_taken_or_refused(kind: str, value: Any, bounded: bool, listed: bool) -> None:
    """What is taken can be written as JSON, and is taken as the same again."""
    kind_of_list = {"itemType": kind} if listed else {}
    specs = [
        spec("ARRAY" if listed else kind, **kind_of_list, **(BOUNDS.get(kind, {}) if bounded and not listed else {}))
    ]
    try:
        typed = typed_inputs(specs, {"x": value}, lambda text: text)
    except InputError:
        return
    recorded = json.loads(json.dumps(as_given(specs, typed)))
    assert json.dumps(typed_inputs(specs, recorded, lambda text: text)) == json.dumps(typed)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [deep(500), deep(50_000), "[" * 900 + "]" * 900, "[" * 500_000])
@pytest.mark.parametrize("kind", ["JSON", "STRING"])
def test_depth_has_a_limit(kind: str, value: Any) -> None:
    """As text, and as data; of a STRING only what is data."""
    if kind == "STRING" and isinstance(value, str):
        return
    with pytest.raises(InputError, match=r"nested deeper than 64|must be JSON"):
        typed_inputs([spec(kind)], {"x": value}, lambda text: text)


def test_a_validator_cannot_hang() -> None:
    """A pattern that tries everything is ended, and the value refused."""
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"cannot be checked|must match"):
        typed_inputs([spec("STRING", validator="(a|aa)+$")], {"x": "a" * 5000 + "!"}, lambda text: text)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "wrong",
    [{"type": "ARRAY", "itemType": "INT", "min": 1}, {"type": "INT", "max": "x"}, {"type": "FLOAT", "min": [1]},
     {"type": "DATETIME", "after": "soon"}, {"type": "STRING", "min": 3}, {"validator": "("},
     {"validator": "a" * 100_000}],
)  # fmt: skip
def test_a_rule_that_no_value_could_be_held_to(wrong: dict[str, Any]) -> None:
    """It is found when the flow is loaded, not when a value comes."""
    with pytest.raises((ValueError, ConfigError)):
        Input.model_validate({"id": "x", **wrong})
