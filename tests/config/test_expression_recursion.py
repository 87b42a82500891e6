"""Rendering again what expressions give, as Kestra did before 0.14."""

from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

VARIABLES: dict[str, Any] = {
    "first": "1",
    "second": "{{ first }}",
    "third": "{{ second }}",
    "endless": "{{ endless }}!",
    "self": "{{ self }}",
    "list": ["{{ second }}", 2],
    "undefined": "{{ nothing }}",
    "key": "in/{{ third }}.csv",
}


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ third }}", "1"),
        ("a {{ list }} b", 'a ["1",2] b'),
        ("{{ '{{ third }}' }}", "1"),
        ("{% raw %}{{ first }}{% endraw %} {{ third }}", "{{ first }} 1"),
        ("{{ render('{% raw %}{{ first }}{% endraw %}') }}", "{{ first }}"),
        ("{{ [render('{% raw %}{{ first }}{% endraw %}')] }}", '["{{ first }}"]'),
        ("{{ render(third) }}", "1"),
        ("no { expression", "no { expression"),
    ],
)
def test_recursive_scope(expressions: Expressions, source: str, expected: str) -> None:
    """In a recursive scope what comes out is rendered until it no longer changes, but for raw text."""
    assert expressions.render(source, Scope(VARIABLES, recursive=True)) == expected


def test_recursive_values_keep_their_type(expressions: Expressions) -> None:
    """The strings inside a list are rendered, too, when its value is asked for."""
    assert expressions.evaluate("{{ list }}", Scope(VARIABLES, recursive=True)) == ["1", 2]


def test_raw_text_inside_of_values(expressions: Expressions) -> None:
    """Raw text that ended up in a list comes back there."""
    source = "{{ [render('{% raw %}{{ first }}{% endraw %}')] }}"
    assert expressions.evaluate(source, Scope(VARIABLES, recursive=True)) == ["{{ first }}"]


@pytest.mark.parametrize("source", ["{{ third }}", "{{ list }}", "{{ key }}"])
def test_data_is_not_code_otherwise(expressions: Expressions, source: str) -> None:
    """Without being asked, nothing is rendered twice: an object key stays what it is."""
    assert "{{" in expressions.render(source, Scope(VARIABLES))


@pytest.mark.parametrize("source", ["{{ endless }}", "{{ render(endless) }}"])
def test_recursion_ends(expressions: Expressions, source: str) -> None:
    """Variables that grow each time do not render forever."""
    with pytest.raises(ExpressionError, match="too many rendering attempts"):
        expressions.render(source, Scope(VARIABLES, recursive=True))


def test_what_no_longer_changes_is_left(expressions: Expressions) -> None:
    """A variable that names itself comes out as it is."""
    assert expressions.render("{{ self }}", Scope(VARIABLES, recursive=True)) == "{{ self }}"


def test_errors_name_the_inner_expression(expressions: Expressions) -> None:
    """What fails in a later pass is quoted as it stands there."""
    with pytest.raises(ExpressionError, match=r"undefined variable 'nothing' in '\{\{ nothing \}\}'"):
        expressions.render("x {{ undefined }}", Scope(VARIABLES, recursive=True))


def test_deep_value_is_refused(expressions: Expressions) -> None:
    """A value that is nested too deeply is no crash, also where each of its parts would be rendered."""
    deep: list[Any] = ["{{ first }}"]
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nested"):
        expressions.evaluate("{{ deep | first }}", Scope({"deep": deep}, recursive=True))
