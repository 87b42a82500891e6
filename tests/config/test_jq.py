"""The jq filter."""

from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

SCOPE = Scope(
    {
        "objects": [{"key": "a", "size": 1}, {"key": "b", "size": 2.5}],
        "text": '{"n": [1, 2]}',
        "word": "tide",
        "nil": None,
    }
)


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("objects | jq('.[].key')", ["a", "b"]),
        ("objects | jq('.[0].key')", ["a"]),
        ("objects | jq('.[].key') | first", "a"),
        ("objects | jq('map(.size) | add')", [3.5]),
        ("objects | jq('.[] | select(.size > 9)')", []),
        ("text | jq('.n[1]')", [2]),
        ("nil | jq('.x')", [None]),
        ("'\"tide\"' | jq('length')", [4]),
        ("word | toJson | jq('.')", ["tide"]),
        ("12345678901 | jq('.')", [12345678901]),
        ("objects | jq('.[].key # comment')", ["a", "b"]),
        ("objects | jq(expression='length')", [2]),
        ("objects | jq('def f: .size; map(f)')", [[1, 2.5]]),
    ],
)
def test_results_are_a_list(expressions: Expressions, source: str, expected: Any) -> None:
    """A program gives the list of its results, one or many; a string is read as JSON."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("objects | jq('.[')", "jq program '.[' failed"),
        ("objects | jq('.key')", "Cannot index array"),
        ("objects | jq('error(\"tide\")')", "tide"),
        ("word | jq('.')", "jq reads a string as JSON, and this one is none"),
        ("objects | jq(1)", "jq program must be a string"),
        ("1 | jq('range(1e9)')", "gives more than 100000 results"),
        ("1 | jq('import \"x\" as x; .')", "failed"),
    ],
)
def test_what_jq_refuses(expressions: Expressions, source: str, message: str) -> None:
    """A program that fails is named with jq's own words."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("{{ " + source + " }}", SCOPE)
    assert message in caught.value.message


def test_plain_string_has_a_hint(expressions: Expressions) -> None:
    """The usual mistake is explained."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("{{ word | jq('endswith(\".csv\")') }}", SCOPE)
    assert caught.value.hint == "put toJson before jq"
