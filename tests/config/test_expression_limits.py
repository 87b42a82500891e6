"""What hostile templates and data cannot do: run on, eat memory, reach Python, or end in another exception."""

import contextlib
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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


def words(text: str) -> list[str]:
    """Everything between blanks."""
    return text.split()


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
    ],
)
def test_excess_is_an_error_soon(expressions: Expressions, source: str) -> None:
    """Time and memory are bounded: each of these fails, and within a few seconds."""
    started = time.monotonic()
    with pytest.raises(ExpressionError):
        expressions.render(source, Scope({**SCOPE.variables, "nested": "[" * 100_000}))
    assert time.monotonic() - started < 20


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


WORDS = words(r"""
    {{ }} {% %} {# #} - x n map list deep big none missing . a [ ] ( ) { } : , | ~ + * / % ? ?? ??? == < >= ..
    ' " #{ \ 1
    2.5 0 'a' not and or is in contains matches defined empty if endif for endfor set = macro endmacro filter endfilter
    raw endraw block endblock loop first upper jq '.' date 'yyyy' dateAdd 'DAYS' number numberFormat split slice replace
    regexp render range fromJson printContext sort join default chunk flatten timestamp substring toString é
""")
FRAGMENTS = st.sampled_from([*WORDS, "\0", "\n", "\ud800"])
EXPRESSIONS = Expressions()


def attempt(source: str) -> None:
    """Render and evaluate; nothing but an `ExpressionError` may come out."""
    for act in (EXPRESSIONS.render, EXPRESSIONS.evaluate):
        with contextlib.suppress(ExpressionError):
            act(source, SCOPE)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAGMENTS, max_size=25).map(" ".join))
@example("{{ list | sort }}")
@example("{{ map contains [] }}")
@example("{{ big / 2.5 }}")
def test_any_tokens(source: str) -> None:
    """Tokens in any order render or fail as an expression error."""
    attempt(source)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAGMENTS, max_size=12).map(lambda words: "{{ " + " ".join(words) + " }}"))
def test_any_expression(source: str) -> None:
    """The same, in an expression."""
    attempt(source)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text(source: str) -> None:
    """Any text at all."""
    attempt(source)
    attempt("{{" + source + "}}")


OPERANDS = words("""
    none x n 2.5 list map deep big '' '.' '(' -1 true [] {} '2024-02-30' 'NaN' 0.0 [none] 'DAYS' 99999999999 [[1],{}]
""")
VALUES = st.sampled_from([*OPERANDS, "'\ud800'"])
CALLABLE = sorted({*EXPRESSIONS._names.filters, *EXPRESSIONS._names.functions})


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CALLABLE), st.lists(VALUES, max_size=4))
def test_any_operands(name: str, operands: list[str]) -> None:
    """Every filter and function takes any values, or fails as an expression error."""
    subject, *arguments = operands or ["none"]
    attempt(f"{{{{ {subject} | {name}({', '.join(arguments)}) }}}}")
    attempt(f"{{{{ {name}({', '.join(operands)}) }}}}")


OPERATORS = st.sampled_from([*words("+ - * / % ~ == != < >= .. contains in matches and or ?? ???"), "not in"])


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, OPERATORS, VALUES)
def test_any_operator(left: str, operator: str, right: str) -> None:
    """Every operator takes any values, or fails as an expression error."""
    attempt(f"{{{{ {left} {operator} {right} }}}}")
    attempt(f"{{{{ ({left})[{right}] }}}}")
