"""The expression engine as its callers see it."""

from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError, SecretMissingError, TaskError
from tidewaiter.config.expression import Expressions, Limits, Scope, truthy

VARIABLES: dict[str, Any] = {
    "trigger": {"objects": [{"key": "in/a b.csv", "uri": "kestra:///1", "size": 7}]},
    "outputs": {"load-it": {"rows": 12}, "each": {"x": {"value": "vx"}}},
    "vars": {"bucket": "harbour", "nested": "{{ vars.bucket }}"},
    "none": None,
}


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


@pytest.fixture
def scope() -> Scope:
    return Scope(VARIABLES, {"secret": lambda name: f"<{name}>"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ trigger.objects | jq('.[].uri') | first }}", "kestra:///1"),
        ("s3://{{ vars.bucket }}/{{ trigger.objects[0].key }}", "s3://harbour/in/a b.csv"),
        ("{{ outputs['load-it'].rows }} rows", "12 rows"),
        ("{{ secret('KEY') }}", "<KEY>"),
        ("no expression { here }", "no expression { here }"),
        ("", ""),
    ],
)
def test_render(expressions: Expressions, scope: Scope, source: str, expected: str) -> None:
    """Each expression is replaced by its text, the rest stays."""
    assert expressions.render(source, scope) == expected


def test_output_is_not_rendered_again(expressions: Expressions, scope: Scope) -> None:
    """What an expression gives is data, even when it looks like an expression."""
    assert expressions.render("{{ vars.nested }}", scope) == "{{ vars.bucket }}"


def test_render_function_renders_again(expressions: Expressions, scope: Scope) -> None:
    """An author may ask for another rendering by name."""
    assert expressions.render("{{ render(vars.nested) }} {{ renderOnce(vars.nested) }}", scope) == "harbour harbour"


def test_endless_render_is_an_error(expressions: Expressions) -> None:
    """Variables that refer to each other do not render forever."""
    scope = Scope({"a": "{{ b }}", "b": "{{ a }}"})
    with pytest.raises(ExpressionError, match="too many rendering attempts"):
        expressions.render("{{ render(a) }}", scope)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ outputs['load-it'].rows }}", 12),
        ("{{ trigger.objects }}", VARIABLES["trigger"]["objects"]),
        ("{{ none }}", None),
        ("{{ 1 == 1 }}", True),
        ("{% set n = 2 %}{{ n * 2 }}", 4),
        (" {{ 1 }}", " 1"),
        ("{{ 1 }}{{ 2 }}", "12"),
        ("plain", "plain"),
        ("{# nothing #}", ""),
        ("{% filter upper %}x{% endfilter %}", "X"),
        ("{% macro m() %}x{% endmacro %}{% set y = m() %}", ""),
        ("{% macro m() %}x{% endmacro %}{{ m() }}", "x"),
        ("{% for n in [7] %}{{ n }}{% endfor %}", 7),
    ],
)
def test_evaluate_keeps_the_type_of_a_lone_expression(
    expressions: Expressions, scope: Scope, source: str, expected: Any
) -> None:
    """One expression alone keeps its type; with anything beside it the result is text."""
    given = expressions.evaluate(source, scope)
    assert given == expected
    assert type(given) is type(expected)


def test_undefined_variable_is_named_with_its_place(expressions: Expressions, scope: Scope) -> None:
    """The message says which variable, in which expression, and where."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("first\n  {{ trigger.object }}", scope)
    assert caught.value.message == "undefined variable 'trigger.object' in '{{ trigger.object }}' at line 2, column 6"
    assert caught.value.hint is not None
    assert "did you mean 'objects'?" in caught.value.hint


def test_manual_run_has_no_trigger(expressions: Expressions) -> None:
    """A root that is absent is undefined, and ?? supplies a default however deep the access goes."""
    assert expressions.render("{{ trigger.objects[0].key ?? 'manual' }}", Scope({})) == "manual"
    with pytest.raises(ExpressionError, match="undefined variable 'trigger'"):
        expressions.render("{{ trigger.objects[0].key }}", Scope({}))


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("{{ 1 | frist }}", "unknown filter 'frist' in '{{ 1 | frist }}' at line 1, column 8", "did you mean 'first'?"),
        ("{{ sceret('A') }}", "unknown function 'sceret' in", "did you mean 'secret'?"),
        ("{% fro x in y %}{% endfor %}", "unknown tag 'fro' in", "did you mean 'for'?"),
        ("{{ x is emtpy }}", "unknown test 'emtpy' in", "did you mean 'empty'?"),
        ("{{ x && y }}", "unexpected character '&' in", "use 'and', 'or' and 'not'"),
        ("{{ x", "'}}' expected before the end of the text", None),
        ("{{ }}", "unexpected '}}', a value expected", None),
        ("a\n{{ 1 + }}", "at line 2, column 8", None),
        ("{{ 'open }}", "string is not closed", None),
        ("{% if x %}", "'{% endif %}' expected", None),
        ("{{ 'x' | abbreviate(wrong=1) }}", "filter 'abbreviate': missing a required argument", "it takes length"),
        ("{{ 'x' | abbreviate(1, length=2) }}", "filter 'abbreviate': multiple values for argument", "it takes length"),
        (
            "{{ 'x' | date(zone='UTC') }}",
            "unknown argument 'zone'",
            "it takes format, existingFormat, timeZone, locale",
        ),
        ("{{ uuid(1) }}", "function 'uuid': too many positional arguments", "it takes no arguments"),
        (
            "{{ 1 | jq('.[') }}",
            "jq program '.[' failed: it is not complete in '{{ 1 | jq('.[') }}' at line 1, column 11",
            None,
        ),
        ("{{ 1 | jq('def f: f; g') }}", "jq program 'def f: f; g' failed: g/0 is not defined", None),
        (
            "{{ http('x') }}",
            "function 'http' is not available here in",
            "make the request in a task of type io.kestra.plugin.core.http.Request",
        ),
        (
            "{{ encrypt('k', 'x') }}",
            "function 'encrypt' is not available here",
            "keep what is confidential in a secret, and read it with secret()",
        ),
        ("{{ f(a=1, a=2) }}", "argument 'a' is given twice", None),
        ("{{ fromJson() }}", "function 'fromJson': missing a required argument: 'json'", "it takes json"),
    ],
)
def test_check_finds_mistakes(expressions: Expressions, source: str, message: str, hint: str | None) -> None:
    """Grammar, names and arguments are checked without any variables."""
    with pytest.raises(ExpressionError) as caught:
        expressions.check(source)
    assert message in caught.value.message
    assert caught.value.hint == hint


def test_check_accepts_what_only_a_scope_provides(expressions: Expressions) -> None:
    """Variables and functions of the host need not be there to be checked."""
    expressions.check("{{ kv('x', errorOnMissing=false).y ?? read(outputs.a.uri) }}")


def test_known_function_may_be_unavailable(expressions: Expressions) -> None:
    """A function of Kestra that this rendering does not offer says so."""
    with pytest.raises(ExpressionError, match=r"function 'kv' is not available here in '\{\{ kv\('a'\) \}\}'"):
        expressions.render("{{ kv('a') }}", Scope({}))


def test_other_host_functions_can_be_named() -> None:
    """The names of host functions are the caller's choice."""
    narrow = Expressions(functions=("tide",))
    assert narrow.render("{{ tide() }}", Scope({}, {"tide": lambda: "high"})) == "high"
    with pytest.raises(ExpressionError, match="unknown function 'secret'"):
        narrow.check("{{ secret('A') }}")


def test_named_arguments_reach_the_host_in_snake_case(expressions: Expressions) -> None:
    """Arguments of host functions are spelled as Python does."""

    def kv(key: str, *, error_on_missing: bool = True) -> str:
        return f"{key} {error_on_missing}"

    assert expressions.render("{{ kv('a', errorOnMissing=false) }}", Scope({}, {"kv": kv})) == "a False"


def test_error_of_the_host_keeps_its_kind(expressions: Expressions) -> None:
    """A missing secret stays a missing secret, with the expression added."""

    def secret(name: str) -> str:
        raise SecretMissingError(f"no secret '{name}'", "set SECRET_A")

    with pytest.raises(SecretMissingError, match="no secret 'A' in") as caught:
        expressions.render("{{ secret('A') }}", Scope({}, {"secret": secret}))
    assert caught.value.hint == "set SECRET_A"


def test_other_error_of_the_host_becomes_an_expression_error(expressions: Expressions) -> None:
    """A failing function fails the expression, with its own words."""

    def read(uri: str) -> str:
        raise TaskError(f"no such file {uri}")

    with pytest.raises(ExpressionError, match="function 'read': no such file kestra:///x") as caught:
        expressions.render("{{ read('kestra:///x') }}", Scope({}, {"read": read}))
    assert isinstance(caught.value.__cause__, ExpressionError)


def test_default_does_not_call_what_it_does_not_need(expressions: Expressions) -> None:
    """The right side of ?? is not evaluated when the left one is there."""
    assert expressions.render("{{ 1 ?? secret('A') }}", Scope({})) == "1"


def test_output_has_a_limit() -> None:
    """A rendering that would be too long fails."""
    small = Expressions(limits=Limits(output=10))
    assert small.render("{{ x }}", Scope({"x": "a" * 10})) == "a" * 10
    with pytest.raises(ExpressionError, match="output is too long"):
        small.render("{{ x }}", Scope({"x": "a" * 11}))


def test_long_values_do_not_make_long_messages(expressions: Expressions) -> None:
    """A message stays readable when the value it quotes is long."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("{{ x | number }}", Scope({"x": "a" * 100_000}))
    assert len(caught.value.message) < 1200
    assert caught.value.message.endswith("… in '{{ x | number }}' at line 1, column 4")


def test_engines_share_nothing() -> None:
    """A second engine knows only its own functions."""
    Expressions(functions=("one",)).check("{{ one() }}")
    with pytest.raises(ExpressionError, match="unknown function"):
        Expressions(functions=("two",)).check("{{ one() }}")


@pytest.mark.parametrize("text", ["", " ", "0", "-0", "false", " false\n"])
def test_falsy(text: str) -> None:
    """These texts skip a task."""
    assert not truthy(text)


@pytest.mark.parametrize("text", ["true", "1", "no", "False", "0.0", "null", "[]"])
def test_truthy(text: str) -> None:
    """Any other text runs it."""
    assert truthy(text)
