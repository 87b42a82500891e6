"""What hostile templates and data cannot do: run on, eat memory, reach Python, or end in another exception."""

import time

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

DEEP: list[object] = []
for _ in range(5000):
    DEEP = [DEEP]

SCOPE = Scope(
    {
        "x": "ab" * 8,
        "n": 3,
        "list": [1, "a", None, 2.5],
        "map": {"a": {"b": [1]}},
        "none": None,
        "deep": DEEP,
        "key": "{{ 7 * 7 }}{% raw %}",
        "big": 10**60,
    }
)


HOSTILE = Scope(
    {
        **SCOPE.variables,
        "nested": "[" * 100_000,
        "long": "a" * 5000,
        "many": list(range(200_000)),
        "maps": [{"a": {"b": [number]}} for number in range(20_000)],
    }
)


def lines(text: str) -> list[str]:
    """One case per line."""
    return [line.strip() for line in text.strip().splitlines()]


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


@pytest.mark.parametrize(
    "source",
    [
        "{{ range(0, 2000000000) }}",
        "{{ range(2000000000, 0, -1) }}",
        "{{ 0..2000000000 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 }}",
        "{% for a in 1..1000 %}{% for b in 1..1000 %}{% endfor %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = s ~ s %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = s + s %}{% endfor %}",
        "{% set s = list %}{% for i in 1..60 %}{% set s = s + s %}{% endfor %}",
        "{% set s = list %}{% for i in 1..60 %}{% set s = s | merge(s) %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = s | replace({'a': s}) %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = s | regexReplace('a', s) %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = s.concat(s) %}{% endfor %}",
        "{% set s = x %}{% for i in 1..60 %}{% set s = [s, s] | join %}{% endfor %}",
        "{% set s = [x] %}{% for i in 1..60 %}{% set s = [s, s] %}{% endfor %}{{ s }}",
        "{% set n = 9 %}{% for i in 1..60 %}{% set n = n * n %}{% endfor %}",
        "{{ x | indent(1000000000) }}",
        "{{ nanoId(1000000000) }}",
        "{{ x | jq('range(1e10)') }}",
        "{{ 1 | jq('range(1e10)') }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ render('{{ render(self) }}') }}",
        "{{ deep }}",
        "{{ deep | flatten }}",
        "{{ deep == deep }}" + "{{ deep ~ 'x' }}",
        "{{ deep | jq('.') }}",
        "{{ fromJson(nested) }}",
        "{% set s = [x] %}{% for i in 1..60 %}{% set s = [s, s] %}{% endfor %}{{ s | flatten }}",
        "{% set s = x %}{% set t = x %}{% for i in 1..60 %}{% set s=[s, s] %}{% set t=[t, t] %}{% endfor %}{{ s==t }}",
        "{% set s = [x] %}{% for i in 1..60 %}{% set s = [s, s] %}{% endfor %}{{ render(s) }}",
        "{{ range(0, 10**12) }}",
        "{{ range(0, 1000000000000) }}",
        "{{ [" + "1..100000, " * 2000 + "1] }}",
        "{{ x | jq('def f: f; f') }}",
        "{{ 1 | jq('def f: [f]; f') }}",
        "{{ 1 | jq('[range(1e9)]') }}",
        "{{ 1 | jq('[recurse(.)]') }}",
        "{{ 1 | jq('" + "tojson | " * 60 + ".') }}",
        "{{ [1] | jq('" + "map(. + .) | " * 60 + ".') }}" + "{{ 1 | jq('[repeat(1)]') }}",
        "{{ 1 | jq('" + "[" * 5000 + "]" * 5000 + "') }}",
        "{{ long matches '(a+)+b' }}",
        "{{ long | regexMatch('a*a*a*b') }}",
        "{{ long | replace({'(a|aa)+$': ''}, regexp=true) ~ (long | replace({'(a|aa)+b': ''}, regexp=true)) }}",
        "{{ long.matches('(a|a)*b') }}",
        "{{ '(' | regexMatch('" + "(" * 5000 + "') }}",
        "{{ 1.5 | numberFormat('0." + "0" * 100_000 + "') }}",
        "{{ '2024-01-01' | date('" + "yyyy" * 100_000 + "') }}",
        "{{ '1' | date('y', existingFormat='" + "[y" * 60 + "') }}",
        "{{ '1111111111111111111111111' | date('y', existingFormat='" + "[y]" * 60 + "') }}",
        "{{ 9223372036854775807 * 9223372036854775807 * big * big * big * big * big * big }}",
        "{{ [many, many] == [many, many] }}",
        "{{ maps contains maps }}",
        "{{ many | yaml }}",
        "{{ yaml(nested) }}",
        "{{ fromIon(nested) }}",
        "{{ nested | jq('.') }}",
        "{% for i in 1..99999 %}{% for j in many %}{% endfor %}{% endfor %}",
        "{% for i in 1..999 %}{% set s = many | reverse %}{% endfor %}",
        "{% macro m(n) %}{% for i in 1..9 %}{{ n < 11 ? m(n + 1) : '' }}{% endfor %}{% endmacro %}{{ m(0) }}",
        "{% raw %}a{% endraw %}" * 40_000,
    ],
)
def test_excess_is_an_error_soon(expressions: Expressions, source: str) -> None:
    """Time and memory are bounded: each of these fails within two seconds, or what a busy machine makes of them."""
    started = time.thread_time(), time.monotonic()
    with pytest.raises(ExpressionError):
        expressions.render(source, HOSTILE)
    assert time.thread_time() - started[0] < 2
    assert time.monotonic() - started[1] < 10


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 1000 + "1" + ")" * 1000 + " }}",
        "{{ " + "[" * 1000 + "]" * 1000 + " }}",
        "{{ " + "not " * 1000 + "x }}",
        "{{ " + "-" * 1000 + "1 }}",
        "{{ 1" + " + 1" * 1000 + " }}",
        "{{ x" + " | upper" * 1000 + " }}",
        "{{ x" + ".a" * 1000 + " }}",
        "{{ x" + " ? 1 : x" * 1000 + " }}",
        "{% if x %}" * 1000 + "{% endif %}" * 1000,
        "{% for i in list %}" * 19 + "{% endfor %}" * 19,
        '{{ "' + '#{"' * 50 + '"}' * 50 + '" }}',
        "{{ 1 }}" * 20_000,
        "x" * (1024 * 1024 + 1) + "{{ 1 }}",
    ],
    ids=range(13),
)
def test_excessive_template_is_refused(expressions: Expressions, source: str) -> None:
    """Depth and length of a template are bounded, whatever recursion limit is in force."""
    with pytest.raises(ExpressionError):
        expressions.check(source)


@pytest.mark.parametrize(
    "source",
    lines("""
    x.__class__
    x.__class__.__mro__
    list.__len__()
    map.keys
    map.pop('a')
    list.append(1)
    x.format(1)
    x['__class__']
    list['__class__']
    n.real
    n.bit_length()
    none.__class__
    x.encode()
    run
    environment
    self
    context
    _
    macro_78
    loop
    range.__globals__
    x | attr('__class__')
    x | format(1)
    x | map('upper')
    cycler()
    lipsum()
    namespace()
    joiner()
    dict()
    x.startswith('a')
    """),
)
def test_python_is_out_of_reach(expressions: Expressions, source: str) -> None:
    """No attribute, global or filter of Python or Jinja can be named."""
    with pytest.raises(ExpressionError):
        expressions.render("{{ " + source + " }}", SCOPE)


def test_data_is_not_changed(expressions: Expressions) -> None:
    """An expression cannot change the variables it was given."""
    items, entries = [3, 1], {"a": 1}
    source = "{% set items = items + 1 %}{{ items | sort }}{{ entries | merge({'b': 2}) }}{{ items | reverse }}"
    expressions.render(source, Scope({"items": items, "entries": entries}))
    assert (items, entries) == ([3, 1], {"a": 1})


def test_key_with_an_expression_stays_text(expressions: Expressions) -> None:
    """An object key cannot inject an expression."""
    assert expressions.render("{{ key }} {{ [key] }}", SCOPE) == '{{ 7 * 7 }}{% raw %} ["{{ 7 * 7 }}{% raw %}"]'


@pytest.mark.parametrize("source", ["{{ 1 | jq('env') }}", "{{ 1 | jq('$ENV') }}", "{{ 1 | jq('1) | env | (.') }}"])
def test_environment_does_not_leak_through_jq(
    expressions: Expressions, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The daemon's environment is empty to jq."""
    monkeypatch.setenv("TIDEWAITER_CANARY", "secret")
    assert expressions.render(source, SCOPE) == "[{}]"
