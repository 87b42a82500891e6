"""Inputs: what may be given, and what becomes of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.inputs import Input, InputError, as_given, typed_inputs


def typed(given: Any, *, render: Any = str, **properties: Any) -> Any:
    """The value of one input, given as text or not at all (None)."""
    spec = Input.model_validate({"id": "x", **properties})
    return typed_inputs([spec], {} if given is None else {"x": given}, render).get("x")


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("STRING", 5, "5"), ("STRING", True, "true"), ("STRING", {"a": 1}, '{"a": 1}'), ("INT", "-7", -7),
        ("INT", 7, 7), ("FLOAT", "1.5", 1.5), ("FLOAT", 2, 2.0), ("BOOLEAN", "TRUE", True), ("BOOL", "false", False),
        ("DATETIME", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"), ("DATE", "2026-01-31", "2026-01-31"),
        ("TIME", "12:30:00", "12:30:00"), ("DURATION", "PT1H", "PT1H"), ("JSON", '{"a": [1]}', {"a": [1]}),
        ("JSON", {"a": 1}, {"a": 1}), ("YAML", "a: [1]", {"a": [1]}), ("URI", "https://a.example/b", "https://a.example/b"),
        ("URI", "kestra:///a/b", "kestra:///a/b"), ("SECRET", "s", "s"), ("EMAIL", "a@b.example", "a@b.example"),
        ("FILE", "kestra:///a/b", "kestra:///a/b"),
    ],
)  # fmt: skip
def test_values_by_type(kind: str, given: Any, value: Any) -> None:
    """Text, as it comes from outside, becomes a value of the type."""
    assert typed(given, type=kind) == value


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        ("INT", "1.5", "a whole number"), ("INT", "9" * 40, "a whole number"), ("FLOAT", "x", "a number"),
        ("BOOLEAN", "yes", "true or false"), ("DATETIME", "today", "a moment"), ("DATE", "31.1.2026", "a date"),
        ("TIME", "noon", "a time"), ("DURATION", "1h", "a duration"), ("JSON", "{", "JSON"),
        ("JSON", "[" * 100_000, "JSON"), ("YAML", "a: [", "YAML"), ("URI", "http:/bla", "a URI"),
        ("EMAIL", "a", "an e-mail address"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(kind: str, given: Any, reason: str) -> None:
    """The input, what it should be and what was given are named."""
    with pytest.raises(InputError, match=f"^input 'x' must be {reason}.*, got '"):
        typed(given, type=kind)


def test_a_secret_is_not_shown() -> None:
    """Not even when it does not fit."""
    with pytest.raises(InputError, match="got a secret"):
        typed("hunter2", type="SECRET", validator="[0-9]+")


def test_lists() -> None:
    """As JSON text or as a list; every item has the item type."""
    assert typed('["1", 2]', type="ARRAY", itemType="INT") == [1, 2]
    assert typed(["a"], type="MULTISELECT", values=["a", "b"]) == ["a"]
    with pytest.raises(InputError, match="must be a list"):
        typed("a", type="ARRAY", itemType="STRING")


@pytest.mark.parametrize("kind", ["ENUM", "SELECT", "MULTISELECT"])
def test_choices(kind: str) -> None:
    """Only what is offered can be chosen, unless more is allowed."""
    other = ["c"] if kind == "MULTISELECT" else "c"
    with pytest.raises(InputError, match="must be one of a, b"):
        typed(other, type=kind, values=["a", "b"])
    assert typed(other, type=kind, values=["a", "b"], allowCustomValue=True) == other


def test_choices_can_be_rendered() -> None:
    """An expression gives the list."""
    assert typed("q", type="SELECT", expression="{{ list }}", render=lambda _: '["p", "q"]') == "q"


@pytest.mark.parametrize(
    ("properties", "given", "reason"),
    [
        ({"type": "INT", "min": 3}, "2", "at least 3"), ({"type": "INT", "max": 3}, "4", "at most 3"),
        ({"type": "DURATION", "max": "PT1H"}, "PT61M", "at most PT1H"),
        ({"type": "DATE", "after": "2026-01-01"}, "2025-12-31", "after 2026-01-01"),
        ({"type": "STRING", "validator": "[a-z]+"}, "A", "match"),
    ],
)  # fmt: skip
def test_bounds(properties: dict[str, Any], given: str, reason: str) -> None:
    """Values out of bounds are refused."""
    with pytest.raises(InputError, match=f"must be {reason}|must {reason}"):
        typed(given, **properties)


def test_defaults_are_rendered_and_typed() -> None:
    """What was given comes first."""
    assert typed(None, type="INT", defaults="{{ n }}", render=lambda _: "7") == 7
    assert typed("8", type="INT", defaults=7) == 8


def test_what_is_missing() -> None:
    """A required input must be given, an optional one is nothing."""
    with pytest.raises(InputError, match="input 'x' is required"):
        typed(None, type="INT")
    assert typed(None, type="INT", required=False) is None


def test_executions_of_objects_bring_no_inputs() -> None:
    """What they lack is left out, to fail only where it is used."""
    specs = [Input.model_validate({"id": "x"}), Input.model_validate({"id": "y", "defaults": "d"})]
    assert typed_inputs(specs, {}, str, lenient=True) == {"y": "d"}


def test_an_input_that_is_not_asked_for() -> None:
    """Its condition says so."""
    assert typed("v", dependsOn={"inputs": ["y"], "condition": "{{ no }}"}, render=lambda _: "false") is None


def test_inputs_nobody_knows_are_refused() -> None:
    """With the names there are."""
    with pytest.raises(InputError, match="there is no input 'y'") as caught:
        typed_inputs([Input.model_validate({"id": "x", "defaults": "d"})], {"y": 1}, str)
    assert caught.value.hint == "inputs of this flow: x"


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"type": "ARRAY"}, "needs 'itemType'"), ({"type": "ARRAY", "itemType": "ARRAY"}, "cannot be ARRAY"),
        ({"type": "ENUM"}, "needs 'values'"), ({"type": "FILE", "defaults": "a.csv"}, "must be the URI"),
        ({"validator": "("}, "not a regular expression"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_when_the_flow_is_read(properties: dict[str, Any], reason: str) -> None:
    """Not only when somebody starts it."""
    with pytest.raises(ValidationError, match=reason):
        Input.model_validate({"id": "x", **properties})


def test_the_former_name_of_the_id() -> None:
    """Flows before Kestra 0.15 call it name."""
    assert Input.model_validate({"name": "x", "type": "STRING"}).id == "x"


@pytest.mark.parametrize(
    "value", ["\U0001f6a2", "\x7f\x85\u2028", "null", "7", "a: b", "\\u0041", float("inf"), 1.5, None, True]
)
@pytest.mark.parametrize("kind", ["JSON", "YAML"])
def test_a_recorded_value_is_read_as_the_same(kind: str, value: Any) -> None:
    """What a restart finds in the journal is what the execution began with."""
    specs = [Input.model_validate({"id": "x", "type": kind, "required": False})]
    recorded = as_given(specs, {"x": value})
    assert typed_inputs(specs, recorded, str) == {"x": value}
