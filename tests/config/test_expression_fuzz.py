"""Any template on any data: it renders or fails as an expression error, soon; nothing else comes out."""

import contextlib
import string
import time
from datetime import UTC, date, datetime
from decimal import Decimal

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
        "big": 10**60,
    }
)


def words(text: str) -> list[str]:
    """Everything between blanks."""
    return text.split()


WORDS = words(r"""
    {{ }} {% %} {# #} - x n map list deep big none missing . a [ ] ( ) { } : , | ~ + * / % ? ?? ??? == < >= .. ' "
    #{ \ 1 2.5 0 'a' not and or is in contains matches defined empty if endif for endfor set = macro endmacro
    filter endfilter raw endraw block endblock autoescape endautoescape cache endcache loop first upper jq '.'
    date 'yyyy' dateAdd 'DAYS' number numberFormat split slice replace regexp render renderOnce range fromJson
    fromIon yaml toIon escape currentEachOutput matches regexReplace printContext sort join default chunk flatten
    timestamp substring toString é
""")
FRAGMENTS = st.sampled_from([*WORDS, "\0", "\n", "\ud800"])
EXPRESSIONS = Expressions()


SECONDS = 2.0
"""Processor time of one rendering; what is confined has a second more of its own."""


def attempt(source: str, scope: Scope = SCOPE) -> None:
    """Render and evaluate; nothing but an `ExpressionError` may come out, and that soon."""
    for act in (EXPRESSIONS.render, EXPRESSIONS.evaluate):
        started = time.thread_time()
        with contextlib.suppress(ExpressionError):
            act(source, scope)
        assert time.thread_time() - started < SECONDS


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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([Decimal("1.50"), datetime(2024, 5, 6, tzinfo=UTC), date(2024, 5, 6), "{{ x }}", "{% raw %}"])
)
DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
NAMES = st.sampled_from(["x", "y", "absent"])
LITERALS = st.sampled_from(["1", "'a'", "2.5", "null", "true", "[]", "{}", "[x, y]", "{'k': x}", "(x)", '"#{x}"'])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions out of expressions, by the grammar."""
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATOR_NAMES), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(FILTER_NAMES)).map(" | ".join),
        st.tuples(inner, st.sampled_from(["length", "a", "key", "size()", "toString()", "trim"])).map(".".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]})[{pair[1]}]"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
        inner.map(lambda one: f"not ({one})"),
        inner.map(lambda one: f"({one}) is not empty"),
        inner.map(lambda one: f"render({one})"),
    )


FILTER_NAMES = sorted(EXPRESSIONS._names.filters)
OPERATOR_NAMES = [*words("+ - * / % ~ == != < >= .. contains in matches and or ?? ???"), "not in"]
GRAMMATICAL = st.recursive(NAMES | LITERALS, compound, max_leaves=8)


def tagged(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Templates out of templates."""
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(GRAMMATICAL, inner, inner).map(lambda t: f"{{% if {t[0]} %}}{t[1]}{{% else %}}{t[2]}{{% endif %}}"),
        st.tuples(GRAMMATICAL, inner).map(lambda t: f"{{% for y in {t[0]} %}}{t[1]}{{{{ loop.index }}}}{{% endfor %}}"),
        GRAMMATICAL.map(lambda value: f"{{% set x = {value} %}}"),
        inner.map(lambda body: f"{{% filter upper %}}{body}{{% endfilter %}}"),
        inner.map(lambda body: f"{{%- autoescape %}}{body}{{% endautoescape -%}}"),
    )


TEMPLATES = st.recursive(
    st.text(string.ascii_letters + " \n{", max_size=5) | GRAMMATICAL.map(lambda code: f"{{{{ {code} }}}}"),
    tagged,
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEMPLATES, DATA, DATA, st.booleans())
def test_any_template_on_any_data(template: str, x: object, y: object, recursive: bool) -> None:
    """Templates that follow the grammar, on data of any shape, rendered once or recursively."""
    attempt(template, Scope({"x": x, "y": y}, recursive=recursive))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40))
def test_any_pattern_and_program(text: str) -> None:
    """Data as a date format, a number format, a regular expression's text, YAML, Ion or JSON."""
    for source in (
        "{{ '2024-05-06' | date(x) }}",
        "{{ x | date('yyyy', existingFormat=x) }}",
        "{{ 1234.5 | numberFormat(x) }}",
        "{{ x | replace({'a+': x}, regexp=true) }}",
        "{{ yaml(x) }}{{ x | yaml }}",
        "{{ fromIon(x) }}",
        "{{ fromIon(x | toIon) == x }}",
        "{{ fromJson(x) }}",
        "{{ x | slugify | urlencode | urldecode }}",
    ):
        attempt(source, Scope({"x": text}))
