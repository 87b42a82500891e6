"""Filters and functions, one line each; what they refuse; how results print."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

SCOPE = Scope(
    {
        "words": "The tide  waits",
        "lines": "one\ntwo",
        "list": ["b", "a", "b"],
        "numbers": [3, 1.5, 2],
        "nested": [1, [2, [3, []]]],
        "map": {"a": 1, "b": {"c": [2]}},
        "decimal": Decimal("1.50"),
        "moment": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        "day": date(2024, 5, 6),
    }
)


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


def table(rows: str) -> list[Any]:
    """One case per line: the expression, and what it evaluates to as Python."""
    pairs = [line.rsplit(" -> ", 1) for line in rows.strip().splitlines()]
    return [pytest.param(source.strip(), eval(expected), id=source.strip()) for source, expected in pairs]


@pytest.mark.parametrize(
    ("source", "expected"),
    table(r"""
        words | lower -> "the tide  waits"
        words | upper -> "THE TIDE  WAITS"
        12 | upper -> "12"
        'tide turns' | capitalize -> "Tide turns"
        'tide turns' | title -> "Tide Turns"
        '  x ' | trim -> "x"
        words | condense -> "The tide waits"
        words | abbreviate(8) -> "The t..."
        words | abbreviate(3) -> "The"
        words | abbreviate(length=99) -> "The tide  waits"
        'a.b.c' | replace({'.': '/'}) -> "a/b/c"
        'abc' | replace({'a': 'b', 'b': 'c'}) -> "ccc"
        'a1b22' | replace({'(\d+)': '<$1>'}, regexp=true) -> "a<1>b<22>"
        'a1' | replace({'(?<d>\d)': '${d}\$'}, regexp=true) -> "a1$"
        'Été à la Mer!' | slugify -> "ete-a-la-mer"
        'a/b/c' | substringBefore('/') -> "a"
        'a/b/c' | substringBeforeLast('/') -> "a/b"
        'a/b/c' | substringAfter('/') -> "b/c"
        'a/b/c' | substringAfterLast('/') -> "c"
        'abc' | substringBefore('/') -> "abc"
        'abc' | substringBeforeLast('/') -> "abc"
        'abc' | substringAfter('/') -> ""
        'abc' | substringAfterLast('/') -> ""
        'in/a.csv' | startsWith('in/') -> True
        'in/a.csv' | endsWith('.json') -> False
        "it's" | escapeChar('single') -> "it\\'s"
        'say "a"' | escapeChar('double') -> 'say \\"a\\"'
        "it's" | escapeChar('shell') -> "it'\\''s"
        "it's; rm" | shq -> "'it'\"'\"'s; rm'"
        lines | indent(2) -> "one\n  two"
        lines | nindent(1, '>') -> "\n>one\n>two"
        'a,b,,' | split(',') -> ["a", "b"]
        'a,b,c' | split(',', 2) -> ["a", "b,c"]
        'a.b' | split('\.') -> ["a", "b"]
        'abc' | split('') -> ["a", "b", "c"]
        'order-77' | regexMatch('\d+') -> True
        'order-77' | regexReplace('(\d)', '[$1]') -> "order-[7][7]"
        'order-77' | regexExtract('order-(\d+)', group=1) -> "77"
        'order' | regexExtract('\d') -> None
        'a1b2' | replace({'[a-z](\d)': '$1'}, regexp=true) -> "12"
        'x-y' | replace({'\p{Alpha}': 'z', '[\p{Punct}]': '.'}, regexp=true) -> "z.z"
        null | upper -> None
    """),
)
def test_text(expressions: Expressions, source: str, expected: Any) -> None:
    """Filters on text; null stays null."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table(r"""
        list | first -> "b"
        list | last -> "b"
        [] | first -> None
        'tide' | first -> "t"
        'tide' | last -> "e"
        list | join(', ') -> "b, a, b"
        [1, 2.0, null, true] | join('-') -> "1-2.0--true"
        list | length -> 3
        map | length -> 2
        'tide' | length -> 4
        null | length -> 0
        7 | length -> 0
        list | sort -> ["a", "b", "b"]
        numbers | sort -> [1.5, 2, 3]
        numbers | rsort -> [3, 2, 1.5]
        list | reverse -> ["b", "a", "b"]
        'abc' | reverse -> "cba"
        numbers | slice(1) -> [1.5, 2]
        'tide' | slice(1, 3) -> "id"
        list | merge(numbers) -> ["b", "a", "b", 3, 1.5, 2]
        map | merge({'a': 2}) -> {"a": 2, "b": {"c": [2]}}
        nested | flatten -> [1, 2, 3]
        numbers | chunk(2) -> [[3, 1.5], [2]]
        list | distinct -> ["b", "a"]
        map | keys -> ["a", "b"]
        list | keys -> [0, 1, 2]
        map | values -> [1, {"c": [2]}]
        null | default('x') -> "x"
        [] | default('x') -> "x"
        0 | default('x') -> 0
        -2 | abs -> 2
        '12' | number -> 12
        '1.5' | number -> 1.5
        '7' | number('FLOAT') -> 7.0
        '1.50' | number(type='BIGDECIMAL') -> Decimal("1.50")
        1234.565 | numberFormat('#,##0.00') -> "1,234.56"
        0.5 | numberFormat('#%') -> "50%"
        -3 | numberFormat('000') -> "-003"
        1234567.891 | numberFormat -> "1,234,567.891"
        -1234.5 | numberFormat("#,##0.00 '#';(#)") -> "(1,234.50)"
        12 | numberFormat("'no. '0") -> "no. 12"
        [1, true, '1', 1.0, 1] | distinct -> [1, True, "1", 1.0]
        [1, '1', null] contains [null, 1] -> True
        [[1], {'a': 1}, 2] - [{'a': 1}] -> [[1], 2]
    """),
)
def test_lists_and_numbers(expressions: Expressions, source: str, expected: Any) -> None:
    """Filters on lists, maps and numbers."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    table(r"""
        map | json -> '{"a":1,"b":{"c":[2]}}'
        words | toJson -> '"The tide  waits"'
        null | toJson -> "null"
        map | string -> '{"a":1,"b":{"c":[2]}}'
        12 | string -> "12"
        'a b&ü*~' | urlencode -> "a+b%26%C3%BC*%7E"
        'a+b%26' | urldecode -> "a b&"
        'tide' | base64encode -> "dGlkZQ=="
        'dGlkZQ==' | base64decode -> "tide"
        '' | md5 -> "d41d8cd98f00b204e9800998ecf8427e"
        'tide' | sha1 | length -> 40
        'tide' | sha256 | length -> 64
        'tide' | sha512 | length -> 128
        list | className -> "java.util.ArrayList"
        2147483648 | className -> "java.lang.Long"
        fromJson('{"a": [1, 2.5, null]}') -> {"a": [1, 2.5, None]}
        json('"x"') -> "x"
        fromJson(null) -> None
        range('a', 'c') -> ["a", "b", "c"]
        range(5, 1, -2) -> [5, 3, 1]
        max(1, 2.5) -> 2.5
        min('b', 'a') -> "a"
        uuid() | length -> 36
        ksuid() | length -> 27
        nanoId(5, 'x') -> "xxxxx"
        randomInt(3, 3) -> 3
        id() | length > 18 -> True
        randomPort() > 49151 -> True
        map | yaml -> "a: 1\nb:\n  c:\n  - 2\n"
        ['on', '12', '', 'a: b', 'x\ny', 'é', 10000000.0, decimal, moment, null] | yaml | length > 0 -> True
        words | yaml -> "The tide  waits\n"
        yaml('a: [1, on, 0x1F]').a -> [1, "on", 31]
        yaml('&x [1]') -> [1]
        yaml(null) -> None
        yaml(map | yaml) == map -> True
        map | toIon -> '{a:1,b:{c:[2]}}'
        {'a b': 1.5, 'null': decimal} | toIon -> "{'a b':1.5e0,'null':1.50}"
        moment | toIon -> 'ZonedDateTime::"2024-05-06T07:08:09Z"'
        fromIon("[Row::x, 'y z', null.int] 2") -> ["x", "y z", None]
        fromIon("{b: 1_000, c: 1.5e0, d: 0x1F}") -> {"b": 1000, "c": 1.5, "d": 31}
        fromIon("1 2 // end", allRows=true) -> [1, 2]
        fromIon("[2024-05-06T07:08:09.123Z, {{ aGk= }}, (a 1)]") -> ["2024-05-06T07:08:09.123Z", "aGk=", ["a", 1]]
        fromIon(map | toIon) == map -> True
        fromIon('') -> None
        words | jsonEncode -> '"The tide  waits"'
        jsonDecode('[1]') -> [1]
        '<a href="x">' | escape -> "&lt;a href=&quot;x&quot;&gt;"
        'a b' | escape('url_param') -> "a+b"
        7 | escape -> 7
        printContext().map.a -> 1
        _context.map.a -> 1
    """),
)
def test_data_and_functions(expressions: Expressions, source: str, expected: Any) -> None:
    """Filters that encode and digest, and the functions."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("map", '{"a":1,"b":{"c":[2]}}'),
        ("list", '["b","a","b"]'),
        ("{'ü': '\"'}", '{"ü":"\\""}'),
        ("{1: 1}", '{"1":1}'),
        ("[null, true, 1.0]", "[null,true,1.0]"),
        ("null", ""),
        ("true", "true"),
        ("1.0", "1.0"),
        ("10000000.0", "1.0E7"),
        ("1234567.5", "1234567.5"),
        ("123456789.125", "1.23456789125E8"),
        ("0.00012", "1.2E-4"),
        ("-0.001", "-0.001"),
        ("1.0 / 0", "Infinity"),
        ("decimal", "1.50"),
        ("moment", "2024-05-06T07:08:09Z"),
        ("[moment, day]", '["2024-05-06T07:08:09Z","2024-05-06"]'),
        ("'' ~ [null, {'k': 1.0}]", "[null, {k=1.0}]"),
    ],
)
def test_printing(expressions: Expressions, source: str, expected: str) -> None:
    """Lists and maps print as compact JSON, null as nothing, floats as in Java; joined to text they look like Java."""
    assert expressions.render("{{ " + source + " }}", SCOPE) == expected


def test_printed_json_is_json(expressions: Expressions) -> None:
    """What prints as JSON reads as the same value."""
    value = {"a": ['"\\\n\t\x00', "é😀", 1, -2.5, None, True, {"": []}]}
    assert json.loads(expressions.render("{{ x }}", Scope({"x": value}))) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("list | upper", "filter 'upper': works on text, got a list"),
        ("'x' | replace('y')", "takes a map of what to replace"),
        ("'x' | escapeChar('html')", "type must be one of single, double, shell"),
        ("'x' | indent(-1)", "amount must be from 0 to 1000"),
        ("'x' | abbreviate('y')", "length must be a number, got a string"),
        ("'x' | regexMatch('(')", "is not a regular expression"),
        ("'x' | regexReplace('x', '$9')", "names a group that 'x' does not have"),
        ("'x' | regexReplace('x', '$')", "a '$' without a group"),
        ("'x' | regexExtract('x', 3)", "no group 3"),
        ("map | join(',')", "value must be a list, got a map"),
        ("[1, 'a'] | sort", "cannot compare"),
        ("'abc' | slice(2, 9)", "slice from 2 to 9 is outside of the 3 there are"),
        ("list | merge('x')", "what is merged must be a list"),
        ("list | chunk(0)", "size must be at least 1"),
        ("list | values", "works on a map, got a list"),
        ("'x' | abs", "works on a number, got a string"),
        ("'x' | number", "'x' is not a number"),
        ("1 | number", "value must be a string, got an integer"),
        ("'1' | number('HEX')", "type must be one of INT, LONG"),
        ("1 | numberFormat('abc')", "'abc' is not a number format"),
        ("'?' | base64decode", "not Base64"),
        ("fromJson('{')", "function 'fromJson': not JSON"),
        ("randomInt(2, 1)", "lower bound 2 is greater than upper bound 1"),
        ("randomInt('1', 2)", "bounds must be integers, got a string"),
        ("max()", "at least one value is needed"),
        ("nanoId(0)", "length must be from 1 to 1000"),
        ("yaml('a: [')", "function 'yaml': not valid YAML"),
        ("yaml('a: 1\na: 2')", "duplicate key 'a'"),
        ("fromIon('{a:')", "function 'fromIon': not Ion text: unexpected '' in line 1 of it"),
        ("'x' | escape('smile')", "strategy must be one of html, html_attr, url_param, json"),
        ("'x' | regexMatch('\\p{IsGreek}')", "has the class '\\p{IsGreek}', which is not supported"),
        ("'x' | jq('.')", "jq reads a string as JSON, and this one is none"),
        ("1 | jq('.a')", "jq program '.a' failed: Cannot index number with"),
        ("'2024-05-06' | date('d', locale='tlh')", "dates cannot be written in the locale 'tlh'"),
        ("'6' | date(existingFormat='[d')", "a bracket without its other half"),
    ],
)
def test_operands_that_do_not_fit(expressions: Expressions, source: str, message: str) -> None:
    """A filter says what it cannot work on."""
    with pytest.raises(ExpressionError) as caught:
        expressions.render("{{ " + source + " }}", SCOPE)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("source", "expected"),
    table(r"""
        moment | date('EEEE d MMMM yyyy', locale='fr') -> "lundi 6 mai 2024"
        moment | date('EEE d MMM', locale='de-DE') -> "Mo. 6 Mai"
        day | date("EEEE d 'de' MMMM", locale='es') -> "lunes 6 de mayo"
        '6 maggio 2024' | date('yyyy-MM-dd', existingFormat='d MMMM yyyy', locale='it') -> "2024-05-06"
        moment | date('EEE, MMM d', locale='en_GB') -> "Mon, May 6"
        moment | date('MMMMM e c F W N A') -> "M 1 1 1 2 25689000000000 25689000"
        moment | date('HH:mm XXX VV', timeZone='Europe/Paris') -> "09:08 +02:00 Europe/Paris"
        '930' | date('HH:mm', existingFormat='Hmm') -> "09:30"
        '2024' | date('yyyy-MM-dd', existingFormat='yyyy[-MM[-dd]]') -> "2024-01-01"
        '2024-07' | date('yyyy-MM-dd', existingFormat='yyyy[-MM[-dd]]') -> "2024-07-01"
    """),
)
def test_dates_by_language_and_pattern(expressions: Expressions, source: str, expected: Any) -> None:
    """Java's letters, with the names of a locale, to write and to read."""
    assert expressions.evaluate("{{ " + source + " }}", SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% autoescape %}{{ x }}{{ x | raw }}{{ '<' }}{{ '<' ~ x }}{% endautoescape %}{{ x }}", "&lt;<<&lt;&lt;<"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "<"),
        (
            "{% autoescape 'url_param' %}{% autoescape false %}{{ x }}{% endautoescape %}{{ x }}{% endautoescape %}",
            "<%3C",
        ),
        ("{% cache 'name' %}{{ x }}{% endcache %}", "<"),
    ],
)
def test_escaping_tags(expressions: Expressions, source: str, expected: str) -> None:
    """Inside autoescape what is printed is escaped, unless it is a literal, raw, or escaped already."""
    assert expressions.render(source, Scope({"x": "<"})) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"taskrun": {"value": "a"}}, "1"),
        ({"taskrun": {"value": "b"}, "parents": [{"taskrun": {"value": "y"}}, {"taskrun": {"value": "x"}}]}, "2"),
    ],
)
def test_current_each_output(expressions: Expressions, variables: dict[str, Any], expected: str) -> None:
    """The outputs of a looped task are walked by the values of the loops, the outermost first."""
    outputs = {"a": {"v": 1}, "x": {"y": {"b": {"v": 2}}}}
    scope = Scope({"outputs": outputs, **variables})
    assert expressions.render("{{ currentEachOutput(outputs).v }}", scope) == expected


@pytest.mark.parametrize(("program", "expected"), [("", "[7]"), ("  ", "[7]")])
def test_empty_program(expressions: Expressions, program: str, expected: str) -> None:
    """A jq program of nothing gives its input."""
    assert expressions.render(f"{{{{ 7 | jq('{program}') }}}}", SCOPE) == expected
