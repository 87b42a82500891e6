"""YAML text to data: the YAML 1.2 core schema, positions, and limits that hold before anything is allocated."""

import textwrap
import time
from typing import Any

import pytest

from tidewaiter.config.document import MAX_BYTES, MAX_DEPTH, Document, parse
from tidewaiter.config.errors import ConfigError, Problem


def data(text: str) -> Any:
    return parse(textwrap.dedent(text), "f.yaml").data


def problem(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    return caught.value.problems[0]


@pytest.mark.parametrize("text", ["on", "off", "yes", "no", "y", "1:30", "2024-01-31", "1_000", "0b1", "1e", "=", "<<"])
def test_plain_text_stays_text(text: str) -> None:
    """What only YAML 1.1 takes for a boolean, a number or a date is text."""
    assert data(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("012", 12), ("0o12", 10),
        ("0x1F", 31), ("-7", -7), ("+7", 7), ("1.50", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-.inf", float("-inf")),
    ],
)  # fmt: skip
def test_scalars_of_the_core_schema(text: str, value: object) -> None:
    """Scalars have the types of the YAML 1.2 core schema, leading zeros being decimal."""
    read = data(f"a: {text}")["a"]
    assert (read, type(read)) == (value, type(value))


def test_a_key_that_looks_like_a_boolean_is_text() -> None:
    """The trigger property 'on' keeps its name."""
    assert data("on: CREATE") == {"on": "CREATE"}


def test_keys_are_always_text() -> None:
    """A number as a key is its text, as JSON would have it."""
    assert data("{1: a, true: b, 1.0: c}") == {"1": "a", "true": "b", "1.0": "c"}


def test_quoted_scalars_are_text() -> None:
    """Quotes keep numbers and booleans from being read as such."""
    assert data("""[ "12", 'true', "null" ]""") == ["12", "true", "null"]


def test_a_number_too_long_to_convert_stays_text() -> None:
    """A number of thousands of digits costs nothing and breaks nothing."""
    assert data(f"a: {'9' * 5000}") == {"a": "9" * 5000}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_text_has_no_data(text: str) -> None:
    """An empty file, or one of comments, is None and not an error."""
    assert data(text) is None


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    """Files from other editors read the same."""
    assert data("\ufeffid: a\r\nlist:\r\n  - b\r\n") == {"id": "a", "list": ["b"]}


def test_a_duplicate_key_is_a_problem_at_the_second() -> None:
    """Two of a key are told with the place of the second one; the first one's value stays."""
    document = parse("action: NONE\nother: 1\naction: DELETE\n", "f.yaml")
    assert (document.data["action"], [str(p) for p in document.problems]) == (
        "NONE",
        ["f.yaml:3:1: duplicate key 'action' (keep one of the two)"],
    )


def test_every_duplicate_key_is_told() -> None:
    """Reading goes on after a duplicate key."""
    document = parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f.yaml")
    assert [(p.line, p.column) for p in document.problems] == [(2, 1), (3, 11)]


def test_aliases_repeat_the_anchored_value() -> None:
    """An alias stands for what its anchor holds."""
    assert data("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_merge_keys_add_what_is_missing() -> None:
    """'<<' brings in keys; own ones win, of several sources the first."""
    merged = data("base: &b {x: 1, y: 1}\nmore: &m {y: 2, z: 2}\nall: {<<: [*b, *m], x: 0}\n")
    assert merged["all"] == {"x": 0, "y": 1, "z": 2}


def test_only_maps_are_merged() -> None:
    """'<<' with anything but a map is an error at its place."""
    found = problem("a: &a [1]\nb:\n  <<: [*a]\n")
    assert str(found) == "f.yaml:3:3: '<<' merges maps only"


def test_a_bomb_of_aliases_is_refused_fast() -> None:
    """A few hundred bytes that stand for billions of values are refused in no time."""
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    started = time.monotonic()
    found = problem("a0: &a0 [lol, lol]\n" + "\n".join(levels))
    assert "after aliases are expanded" in found.message
    assert time.monotonic() - started < 1


def test_a_bomb_of_merge_keys_is_refused_fast() -> None:
    """A chain of merge lists that would take many seconds elsewhere is refused."""
    lines = ["k0: &k0 {" + ", ".join(f"x{n}: 1" for n in range(100)) + "}"]
    lines += [f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}'] * 40)}]}}" for n in range(1, 200)]
    started = time.monotonic()
    assert "after aliases are expanded" in problem("\n".join(lines)).message
    assert time.monotonic() - started < 1


def test_an_alias_without_an_anchor_is_an_error() -> None:
    """An alias is told by name and place; one inside its own anchor, too."""
    assert str(problem("a: *nope")) == "f.yaml:1:4: alias '*nope' has no anchor before it"
    assert "no anchor before it" in problem("a: &a [*a]").message


def test_the_deepest_allowed_nesting_is_read() -> None:
    """Nesting up to the limit is fine, one more is not."""
    assert data("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert problem("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)).message == f"nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_absurd_nesting_is_refused_fast(opening: str) -> None:
    """Nesting that crashes other readers is refused at the depth limit."""
    started = time.monotonic()
    assert "nested deeper" in problem(opening * 200_000).message
    assert time.monotonic() - started < 1


def test_a_text_past_the_size_limit_is_refused() -> None:
    """The size is counted in bytes, and the file as a whole is to blame."""
    assert str(problem("é" * (MAX_BYTES // 2 + 1))) == "f.yaml: the file is larger than 1 MiB (split the flow)"


def test_a_second_document_is_an_error_at_its_start() -> None:
    """One flow per file: what follows would be ignored silently."""
    assert str(problem("id: a\n---\nid: b\n")) == "f.yaml:2:1: a second document starts here (keep one flow per file)"


def test_a_tab_is_pointed_out() -> None:
    """Indenting with a tab says so in words."""
    found = problem("a:\n\tb: 1\n")
    assert (found.line, found.hint) == (2, "indent with spaces, YAML does not allow tabs")


@pytest.mark.parametrize("text", ["a: {{ trigger.id }}\n", "a: {{ trigger.id }}/x\n", "a: {{ f('x') }} and\n"])
def test_an_expression_without_quotes_is_pointed_out(text: str) -> None:
    """The commonest mistake is answered with its remedy."""
    found = problem(text)
    assert found.line == 1
    assert "quotes" in (found.hint or "")


def test_a_syntax_error_has_a_place() -> None:
    """What the YAML parser cannot read is told with line and column."""
    found = problem("a: 1\nb: [1, 2\nc: 3\n")
    assert (found.line > 1, found.message.startswith("not valid YAML: ")) == (True, True)


def test_characters_that_yaml_forbids_are_an_error() -> None:
    """A control character does not crash the reader."""
    assert problem("a: \x00b").message.startswith("not valid YAML: ")


@pytest.mark.parametrize(
    ("text", "value"), [("!!str 12", "12"), ("!!int '12'", 12), ("!!float 1", 1.0), ("!!null ''", None)]
)
def test_tags_of_the_core_schema_are_obeyed(text: str, value: object) -> None:
    """A tag of the core schema chooses the type."""
    assert data(f"a: {text}") == {"a": value}


@pytest.mark.parametrize(
    "text",
    [
        "!!binary aGk=",
        "!!timestamp 2024-01-01",
        "!!int x",
        "!mine x",
        "!!python/object/apply:os.getcwd []",
        "!!set {a}",
    ],
)
def test_other_tags_are_refused(text: str) -> None:
    """A tag that we would have to ignore is an error at its value."""
    found = problem(f"a: {text}")
    assert (found.line, found.column, found.message.startswith("tag ")) == (1, 4, True)


def test_a_complex_key_is_refused() -> None:
    """A list or map as a key is an error, not a crash."""
    assert problem("? [a]\n: b\n").message == "a key must be plain text"


def positions(text: str) -> Document:
    return parse(textwrap.dedent(text), "f.yaml")


def test_positions_of_nested_values() -> None:
    """A value's position is where it begins, a key's where the key begins; both count from 1."""
    document = positions("""\
        tasks:
          - id: a
            env: {X: one}
        """)
    assert document.positions[("tasks", 0, "env", "X")] == (3, 14)
    assert document.keys[("tasks", 0, "env", "X")] == (3, 11)


def test_the_position_of_a_block_scalar_is_its_indicator() -> None:
    """A text over several lines begins at its '|'."""
    assert positions("a:\n  b: |\n    one\n    two\n").positions[("a", "b")] == (2, 6)


def test_columns_count_characters() -> None:
    """A column is a number of characters, not of bytes."""
    assert parse("{é: 1, ü: x}", "f.yaml").positions[("ü",)] == (1, 11)


def test_a_problem_without_a_position_points_at_what_is_around_it() -> None:
    """A missing property is told at its parent."""
    found = positions("a:\n  b: {c: 1}\n").problem(("a", "b", "missing"), "oops")
    assert (found.line, found.column) == (2, 6)


def test_strings_gives_every_text_but_what_is_to_be_skipped() -> None:
    """Texts come with their paths, in order."""
    document = positions("a: x\nskip: y\nb: [1, z, {skip: q, c: w}]\n")
    assert list(document.strings(frozenset({"skip"}))) == [(("a",), "x"), (("b", 1), "z"), (("b", 2, "c"), "w")]
