"""Java NIO globs: what they match, and that no path makes them slow."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.config.globs import MAX_ALTERNATIVES, compile_glob

MATCHES = [
    ("*.csv", "a.csv", True),
    ("*.csv", "d/a.csv", False),
    ("*.csv", ".csv", True),
    ("*", ".hidden", True),
    ("**", "a/b/c", True),
    ("**.csv", "a/b.csv", True),
    ("**/x", "x", False),
    ("**/x", "a/x", True),
    ("**/x", "a/b/x", True),
    ("a/**", "a", False),
    ("a/**", "a/b/c", True),
    ("?.txt", "ab.txt", False),
    ("?.txt", "a.txt", True),
    ("a?b", "a/b", False),
    ("{a,b*}.c", "bcd.c", True),
    ("{a,b*}.c", "c.c", False),
    ("x{,y}", "x", True),
    ("[ab]1", "b1", True),
    ("[a-c]", "d", False),
    ("[!a-c]", "d", True),
    ("[!a]", "/", False),
    ("[^a]", "^", True),
    ("[^a]", "b", False),
    ("[-a]", "-", True),
    ("[*]", "*", True),
    ("[*]", "b", False),
    (r"\*", "*", True),
    (r"\*", "a", False),
    (r"\{a\}", "{a}", True),
    ("a,b", "a,b", True),
    ("a}", "a}", True),
    ("a.c", "abc", False),
    ("(a|b)+", "(a|b)+", True),
    ("a\nb*", "a\nbc", True),
    ("é?", "éü", True),
    ("***", "a/b", True),
]


@pytest.mark.parametrize(("glob", "path", "expected"), MATCHES)
def test_matching(glob, path, expected):
    """A glob matches whole paths as java.nio does."""
    assert expected is bool(compile_glob(glob).fullmatch(path))


@pytest.mark.parametrize("glob", ["[a", "{a", "{a{b}}", "a\\", "[]", "[z-a]", "[a/b]"])
def test_malformed(glob):
    """A malformed glob is an error that shows it."""
    with pytest.raises(ValueError, match="glob"):
        compile_glob(glob)


PIECES = {
    "*": "[^/]*",
    "**": ".*",
    "?": "[^/]",
    "a": "a",
    "b": "b",
    "/": "/",
    "{a,ab}": "(?:a|ab)",
    "{*b,}": "(?:[^/]*b|)",
}


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(sorted(PIECES)), max_size=7), st.text("ab/", max_size=9))
def test_never_looking_back_loses_nothing(pieces: list[str], path: str) -> None:
    """The translation matches exactly what the plain one with backtracking does."""
    apart = [piece for at, piece in enumerate(pieces) if not (at and piece[0] == pieces[at - 1][0] == "*")]
    plain = re.compile("".join(PIECES[piece] for piece in apart))
    assert bool(compile_glob("".join(apart)).fullmatch(path)) is bool(plain.fullmatch(path))


@pytest.mark.parametrize("glob", ["*-*-*-*-*-*.csv", "**/*-*/**/*-*/**/*-*.csv", "**-**-**-**-**.csv"])
@pytest.mark.parametrize("path", ["-" * 1024, "-/" * 512, "/-" * 512])
def test_no_path_makes_it_slow(glob: str, path: str) -> None:
    """Many stars on the longest key there can be take no time worth speaking of."""
    began = time.process_time()
    assert not compile_glob(glob).fullmatch(path)
    assert time.process_time() - began < 1


def test_too_many_alternatives() -> None:
    """Groups that multiply are refused before they are written out."""
    with pytest.raises(ValueError, match=f"more than {MAX_ALTERNATIVES}"):
        compile_glob("{a,b}" * 20)
