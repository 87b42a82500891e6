"""What a key tells."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.triggers.keys import basename, danger, is_probe, java_pattern, literal_ends


@pytest.mark.parametrize(
    ("source", "key", "matches"),
    [
        (r".*\.csv", "raw/a.csv", True),
        (r"raw/", "raw/a.csv", False),
        (r"(?<day>\d+)-\k<day>", "12-12", True),
        (r"(?<day>\d+)-\k<day>", "12-13", False),
        (r"(?<=raw/).*|raw/(?<!x)a", "raw/a", True),
        (r"\\(?<x>a)", "\\a", True),
        (r"(?i)RAW/.*", "raw/a", True),
        (r"[^/]++/a", "raw/a", True),
    ],
)
def test_java_patterns_match_the_whole_key(source: str, key: str, matches: bool) -> None:
    """A Java expression means here what it means there: named groups, look-behind, flags, possessive quantifiers."""
    assert bool(java_pattern(source).fullmatch(key)) is matches


@pytest.mark.parametrize("source", ["(", r"\p{Upper}", "[a&&b]"])
def test_what_only_java_knows_is_refused(source: str) -> None:
    """An expression that would mean something else here is an error."""
    with pytest.raises(re.error):
        java_pattern(source)


@pytest.mark.parametrize(
    "key", ["..", ".", "a/../b", "./a", "a/.", "a\\..\\b", "a\0b", "a\nb", "\x1b[2J", "\x7f", "\x85"]
)
def test_dangerous_keys_are_told(key: str) -> None:
    """Keys that a proxy or a store might take for others are dangerous to change."""
    assert danger(key)


@pytest.mark.parametrize(
    "key", ["a", "a/b.csv", ".hidden/x", "a..b", "...", "a//b", "/abs", "é", "$(id)", "{{ x }}", "a b"]
)
def test_odd_keys_are_not_dangerous(key: str) -> None:
    """Odd looks alone are no danger: nothing here puts a key into a path or a command."""
    assert danger(key) is None


def test_basename() -> None:
    """The name of an object is what follows its last slash."""
    assert [basename(key) for key in ("raw/a.csv", "a.csv", "raw/")] == ["a.csv", "a.csv", ""]


def test_probe_objects_are_known_by_name() -> None:
    """Our own probe objects are recognised at any depth, and nothing else is taken for one."""
    name = ".tidewaiter-probe-0123456789abcdef"
    assert all(map(is_probe, (name, f"raw/{name}", f"{name}-copy", f"{name}-keys/a//b", f"{name}-keys/a\nb")))
    assert not any(map(is_probe, (f"x{name}", f"{name}x", f"{name}-copy/x", ".tidewaiter-probe-0a1b")))


@pytest.mark.parametrize(
    ("source", "head", "tail"),
    [
        (r"raw/.*\.csv", "raw/", ".csv"), (r"^raw/.*_done$", "raw/", "_done"), (r"raw/a?.*", "raw/", ""),
        (r"(a|b)/x\.csv", "", "/x.csv"), (r".*\dcsv", "", "csv"), (r"a\\.csv", "a\\", "csv"),
        (r"[a-z]+\.csv", "", ".csv"),
        (r"a\|b.*", "a|b", ""), (r"(?:x(a|b)y)z", "", "z"), (r"raw/x", "raw/x", "raw/x"), (r"x{2}y", "", "y"),
    ],
)  # fmt: skip
def test_literal_ends_of_a_pattern(source: str, head: str, tail: str) -> None:
    """What begins and ends every match is found, and nothing that only might."""
    assert literal_ends(source) == (head, tail)


@pytest.mark.parametrize("source", [r"a\.csv|b\.csv", r"(?i)a\.csv", r"\Qa.\E.csv", ""])
def test_patterns_without_literal_ends(source: str) -> None:
    """Where a pattern has a choice, ignores case or quotes, nothing is claimed."""
    assert literal_ends(source) == ("", "")


@given(
    st.from_regex(r"(raw/|in/)?([a-c]|\\d|\\\.|\.\*|\[ab\]|\(a\|b\)|x\?|y\+|\\\\){0,6}(\\\.csv|\$)?", fullmatch=True),
    st.data(),
)
def test_every_match_has_the_literal_ends(source: str, data: st.DataObject) -> None:
    """Whatever the pattern, a key that matches it begins and ends so."""
    key = data.draw(st.from_regex(java_pattern(source), fullmatch=True)).removesuffix("\n")
    head, tail = literal_ends(source)
    assert (key.startswith(head), key.endswith(tail)) == (True, True)
