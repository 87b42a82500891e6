"""Pebble's grammar: operators, tests, tags, strings, whitespace."""

from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

SCOPE = Scope(
    {
        "a": 1,
        "b": 2.5,
        "s": "tide",
        "nil": None,
        "yes": True,
        "no": False,
        "list": [3, 1, 2],
        "map": {"k": "v", "n": {"m": 0}},
        "empty": {"text": "", "blank": "  ", "list": [], "map": {}},
    }
)


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


def lines(text: str) -> list[str]:
    """One case per line."""
    return [line.strip() for line in text.strip().splitlines()]


def table(rows: str) -> list[Any]:
    """One case per line: the expression, and what it evaluates to as Python."""
    pairs = [line.rsplit(" -> ", 1) for line in rows.strip().splitlines()]
    return [pytest.param(source.strip(), eval(expected), id=source.strip()) for source, expected in pairs]


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        1 + 2 * 3 -> 7
        (1 + 2) * 3 -> 9
        7 / 2 -> 3
        -7 / 2 -> -3
        -7 % 3 -> -1
        7 / 2.0 -> 3.5
        1.5 + 1 -> 2.5
        1.0 / 0 -> float("inf")
        -a -> -1
        - -a -> 1
        'x' + 1 -> "x1"
        1 + 'x' -> "1x"
        list + 4 -> [3, 1, 2, 4]
        list + [4, 5] -> [3, 1, 2, 4, 5]
        list - 1 -> [3, 2]
        list - [1, 2] -> [3]
        s ~ a ~ none ~ yes -> "tide1true"
        'a' ~ list -> "a[3, 1, 2]"
        'a' ~ map -> "a{k=v, n={m=0}}"
        s ~ 'S' | upper -> "TIDES"
        1..4 -> [1, 2, 3, 4]
        4..1 -> []
        'a'..'c' -> ["a", "b", "c"]
    """),
)
def test_arithmetic(expressions: Expressions, source: str, expected: Any) -> None:
    """Numbers calculate as in Java, ~ joins text, + also appends, .. lists."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        1 == 1.0 -> True
        '1' == 1 -> False
        yes == 1 -> False
        s == 'tide' -> True
        s equals 'tide' -> True
        s != 'ebb' -> True
        none == null -> True
        list == [3, 1, 2] -> True
        map == {'k': 'v', 'n': {'m': 0}} -> True
        2 > 1 and 1 < 2 -> True
        2 >= 2 and 2 <= 2 -> True
        'b' > 'a' -> True
        s contains 'id' -> True
        list contains 1 -> True
        list contains [1, 2] -> True
        list contains [1, 9] -> False
        map contains 'k' -> True
        map contains list -> False
        none contains 'x' -> False
        1 in list -> True
        9 in list -> False
        9 not in list -> True
        'v' in map -> True
        'id' in s -> True
        [1] in [[1]] -> True
        'tide' matches 't.*' -> True
        'tide' matches 'id' -> False
        not no -> True
        not (no or yes) -> False
        yes and no or yes -> True
        no and missing -> False
        yes or missing -> True
    """),
)
def test_comparison_and_logic(expressions: Expressions, source: str, expected: Any) -> None:
    """Numbers compare by value, text only with text; and, or stop early."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        missing ?? 'd' -> "d"
        missing.x['y'][0] ?? 'd' -> "d"
        map.missing.x ?? 'd' -> "d"
        map[missing] ?? 'd' -> "d"
        list[9] ?? 'd' -> "d"
        none ?? 'd' -> "d"
        nil.x ?? 'd' -> "d"
        empty.text ?? 'd' -> ""
        (missing | upper) ?? 'd' -> "d"
        (missing + 1) ?? 'd' -> "d"
        [missing] ?? 'd' -> "d"
        {'a': missing} ?? 'd' -> "d"
        fromJson(missing) ?? 'd' -> "d"
        missing ?? none ?? 'd' -> "d"
        missing ??? 'd' -> "d"
        none ??? 'd' -> None
        missing ?? 'a' ~ 'b' -> "ab"
        missing ?? s | upper -> "TIDE"
        missing is defined -> False
        missing is not defined -> True
        missing.x is defined -> False
        none is defined -> True
        missing | default('d') -> "d"
        none | default('d') -> "d"
        empty.blank | default('d') -> "d"
        s | default('d') -> "tide"
    """),
)
def test_undefined_and_null(expressions: Expressions, source: str, expected: Any) -> None:
    """?? covers null and undefined wherever it arose, ??? only undefined."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    "source",
    lines(r"""
        missing
        missing ?? gone
        missing | upper
        map.missing
        map.k.x.y
        list[9]
        list['x']
        missing + 1
        missing is empty
        missing ? 1 : 2
        [missing]
        nil.x
        s.charCount
        1.x
        list.0
    """),
)
def test_use_of_undefined_is_an_error(expressions: Expressions, source: str) -> None:
    """Nothing that is not there prints as nothing."""
    with pytest.raises(ExpressionError):
        expressions.render("{{ " + source + " }}", SCOPE)


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        nil is null -> True
        s is null -> False
        empty.text is empty -> True
        empty.blank is empty -> True
        empty.list is empty -> True
        empty.map is empty() -> True
        none is empty -> True
        list is not empty -> True
        2 is even -> True
        2 is odd -> False
        3 is not even -> True
        list is iterable -> True
        s is iterable -> False
        map is map -> True
        list is map -> False
        '{"a": 1}' is json -> True
        s is json -> False
    """),
)
def test_tests(expressions: Expressions, source: str, expected: Any) -> None:
    """The tests behind ``is``."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        yes ? 'y' : 'n' -> "y"
        '' ? 'y' : 'n' -> "n"
        0.0 ? 'y' : 'n' -> "n"
        none ? 'y' : 'n' -> "n"
        a == 1 ? (no ? 1 : 2) : 3 -> 2
        no ? 1 : no ? 2 : 3 -> 3
        yes ? 1 : missing -> 1
        map.k -> "v"
        map['k'] -> "v"
        map[s] ?? 'none' -> "none"
        map.n.m -> 0
        list[0] -> 3
        list['0'] -> 3
        list.size() -> 3
        list.size -> 3
        s.length -> 4
        s.toUpperCase().substring(1, 3) -> "ID"
        s.split('')[0] -> "t"
        map.size() -> 2
        map.getOrDefault('z', 1) -> 1
        {'a': 1, 'b': [1, 'x']} -> {"a": 1, "b": [1, "x"]}
        {} -> {}
        [] -> []
        'it\\'s' -> "it's"
        "say \\"hi\\"" -> 'say "hi"'
        'a\\nb' -> "a\\\\nb"
        "#{a + 1} of #{s}" -> "2 of tide"
        '#{a}' -> "#{a}"
        "#{"#{s}"}!" -> "tide!"
        max(1, 3, 2) -> 3
        range(1, 5, increment=2) -> [1, 3, 5]
    """),
)
def test_values(expressions: Expressions, source: str, expected: Any) -> None:
    """Conditions, access, literals and calls."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table("""
        {% if a == 2 %}two{% elseif a == 1 %}one{% else %}many{% endif %} -> "one"
        {% if no %}x{% endif %} -> ""
        {% for x in list %}{{ loop.index }}={{ x }}{{ loop.last ? '' : ',' }}{% endfor %} -> "0=3,1=1,2=2"
        {% for x in list %}{{ loop.first }}{{ loop.revindex }} {% endfor %} -> "true2 false1 false0 "
        {% for x in list %}{{ loop.length }}{% endfor %} -> "333"
        {% for e in map %}{{ e.key }};{% endfor %} -> "k;n;"
        {% for x in empty.list %}x{% else %}none{% endfor %} -> "none"
        {% for x in none %}x{% else %}none{% endfor %} -> "none"
        {% for x in 1..2 %}{% for y in 1..2 %}{{ x * y }}{% endfor %}{{ loop.index }}{% endfor %} -> "120241"
        {% set t = 0 %}{% for x in list %}{% set t = t + x %}{% endfor %}{{ t }} -> "6"
        {% for x in list %}{% set last = x %}{% endfor %}{{ last is defined }} -> "false"
        {% macro greet(name, mark='!') %}Hi {{ name }}{{ mark }}{% endmacro %}{{ greet('you') }} -> "Hi you!"
        {{ f(name='x') }}{% macro f(type='t', name) %}{{ type }}{{ name }}{% endmacro %} -> "tx"
        {% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(3) }} -> "3210"
        {% filter upper | replace({'T': 't'}) %}{{ s }} x{% endfilter %} -> "tIDE X"
        {% raw %}{{ s }} {% if %}{% endraw %} -> "{{ s }} {% if %}"
        {% verbatim %}{# kept #}{% endverbatim %} -> "{# kept #}"
        a{# {{ missing }} #}b -> "ab"
        {% block x %}{{ a }}{% endblock x %} -> "1"
        x {{- s -}} y -> "xtidey"
        x {%- if yes -%} y {%- endif -%} z -> "xyz"
        x {#- c -#} y -> "xy"
        { {a} } -> "{ {a} }"
        {{ {'a': {'b': 1}} }} -> '{"a":{"b":1}}'
    """),
)
def test_templates(expressions: Expressions, source: str, expected: str) -> None:
    """Tags, comments and whitespace control."""
    assert expressions.render(source, SCOPE) == expected


def test_line_break_after_a_tag_stays(expressions: Expressions) -> None:
    """Kestra does not trim line breaks."""
    assert expressions.render("{{ a }}\n{% if yes %}\nx\n{% endif %}\n", SCOPE) == "1\n\nx\n\n"


@pytest.mark.parametrize(
    "source",
    lines(r"""
        1 +
        (1
        [1
        [1,]
        {'a'}
        {'a': 1,}
        a b
        a ? b
        a ?
        a.
        a[
        a[]
        a |
        | upper
        not
        is empty
        a is
        a ==
        1 2
        f(
        a..
        'a
        "a
        "#{a"
        "#{a b}"
        a.b.
        {'a': 1}.a
        s.upper(x=1)
        @a
        a = 1
        99999999999999999999
        in
        a ? : b
    """),
)
def test_bad_grammar(expressions: Expressions, source: str) -> None:
    """What Pebble cannot parse is refused before it runs."""
    with pytest.raises(ExpressionError, match="at line 1, column"):
        expressions.check("{{ " + source + " }}")


@pytest.mark.parametrize(
    "source",
    lines(r"""
        {% if %}{% endif %}
        {% if a %}{% else %}{% else %}{% endif %}
        {% for in x %}{% endfor %}
        {% for x of y %}{% endfor %}
        {% set x %}
        {% set 1 = 2 %}
        {% endif %}
        {% raw %}
        {# open
        {% %}
        {% macro f( %}{% endmacro %}
        {% filter nope %}{% endfilter %}
        {% macro f() %}{% endmacro %}{% macro f() %}{% endmacro %}
        {% if a }}x{% endif %}
    """),
)
def test_bad_tags(expressions: Expressions, source: str) -> None:
    """Tags that are incomplete or unknown are refused before they run."""
    with pytest.raises(ExpressionError, match="at line 1, column"):
        expressions.check(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("'12' > 5", "cannot compare a string with an integer"),
        ("list > 1", "cannot compare a list with an integer"),
        ("list * 2", "cannot multiply a list and an integer"),
        ("s * 1000000000", "cannot multiply a string and an integer"),
        ("yes + 1", "cannot add a boolean and an integer"),
        ("1 / 0", "cannot divide 1 and 0: division by zero"),
        ("1 % 0", "division by zero"),
        ("none is even", "only an integer is even or odd, got null"),
        ("s.toUper()", "a string has no method 'toUper' that expressions may call, in 's.toUper()'"),
        ("s.substring(9)", "substring from 9 to 4 is outside"),
        ("list.get(7)", "index 7 is outside"),
        ("{list: 1}", "key of a map must be a string or a number, got a list"),
        ("'x' matches '('", "'(' is not a regular expression"),
        ("range(1, 5, 0)", "step of a range must not be zero"),
    ],
)
def test_operands_that_do_not_fit(expressions: Expressions, source: str, message: str) -> None:
    """An operator says what it cannot do with what."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("{{ " + source + " }}", SCOPE)
    assert message in caught.value.message


def test_failing_expression_is_found_among_many(expressions: Expressions) -> None:
    """The place is that of the expression that failed, not of the first one."""
    with pytest.raises(ExpressionError, match=r"in '\{\{ list\.x \}\}' at line 3, column 8"):
        expressions.render("{{ a }}\n{% if yes %}\n    {{ list.x }}{% endif %}", SCOPE)
