"""Patterns with named parts: what they capture, what is wrong with them, and that no key makes them slow."""

import re
import time

import pytest

from tidewaiter.triggers.pattern import compile_pattern

DAILY = "raw/{customer}/{date:%Y-%m-%d}/{name}.csv"


@pytest.mark.parametrize(
    ("pattern", "key", "captures"),
    [
        (DAILY, "raw/acme/2026-02-28/a.csv", {"customer": "acme", "date": "2026-02-28", "name": "a"}),
        (DAILY, "raw/acme/2026-02-30/a.csv", None),
        (DAILY, "raw/acme/2026-2-28/a.csv", None),
        (DAILY, "raw//2026-02-28/a.csv", None),
        (DAILY, "raw/a/b/2026-02-28/a.csv", None),
        (DAILY, "raw/acme/2026-02-28/a.csv.gz", None),
        (DAILY, "x/raw/acme/2026-02-28/a.csv", None),
        ("{a}-{b}.csv", "x-y-z.csv", {"a": "x", "b": "y-z"}),
        ("{name}.{kind}", "a.tar.gz", {"name": "a", "kind": "tar.gz"}),
        ("{name}", "a\nb", {"name": "a\nb"}),
        ("{name}{day:%Y%m%d}.csv", "orders20260228.csv", {"name": "orders", "day": "20260228"}),
        ("{at:%Y%m%dT%H%M%S}", "20260228T235959", {"at": "20260228T235959"}),
        ("{share:%y%%}", "26%", {"share": "26%"}),
        ("{x}", "á/b", None),
        ("a.b", "a.b", {}),
        ("a.b", "axb", None),
        ("{x}", "٣", {"x": "٣"}),
        ("{day:%d}", "٣٣", None),
    ],
)
def test_captures(pattern: str, key: str, captures: dict[str, str] | None) -> None:
    """A pattern means whole keys; each part takes as little as it can, and captures are text."""
    assert compile_pattern(pattern).captures(key) == captures


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("raw/{customer/x", "a stray '{' at character 5"),
        ("raw/customer}/x", "a stray '}' at character 13"),
        ("raw/{}/x", "stray"),
        ("{a b}", "stray"),
        ("{1a}", "stray"),
        ("{a}/{a}", "'{a}' is there twice"),
        ("{a}{b}", "something between '{b}' and the part before it"),
        ("{a:%B}", "'%B' is not a directive"),
        ("{a:%Y%}", "'%' is not a directive"),
        ("{a:x}", "'x' names no part of a date"),
        ("{a:}", "names no part of a date"),
    ],
)
def test_wrong_patterns(pattern: str, problem: str) -> None:
    """Each mistake is told as what it is."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["{a}-{b}-{c}-{d}-{e}.csv", "{a}/{b}/{c}-{d:%Y}-{e}.csv", "{a}aa{b}aa{c}aa{d}b"])
@pytest.mark.parametrize("key", ["-" * 1024, "a" * 1024, "-/" * 512, "-2026" * 200])
def test_no_key_makes_it_slow(pattern: str, key: str) -> None:
    """Many parts on the longest key there can be take no time worth speaking of."""
    began = time.process_time()
    assert compile_pattern(pattern).captures(key) is None
    assert time.process_time() - began < 0.5
