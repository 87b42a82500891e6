"""Programs and regular expressions that could run on: which are told from harmless ones, and how they end."""

import gc
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.java_regex import JavaRegex, steps
from tidewaiter.config.expression.jq import degree

JQ = {"program": ".", "text": "1", "most": 9}
ENDLESS = {"program": "def f: f; f", "text": "1", "most": 9}


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (".", 1),
        (".[].uri", 1),
        (".[0].key", 1),
        ('.["a b"][1:-2]', 1),
        ("map(.size) | add", 1),
        ('.[] | select(.key | endswith(".csv")) | .uri', 1),
        ("map({uri, name: .key, length}) | length", 1),
        ("[.[] | .parts[]]", 2),
        ("., .", 1),
        ("[.,.] | [.,.]", 1),
        (". + . | tojson", 1),
        ("to_entries | map({key: (.key | tostring), value: .value.uri}) | from_entries", 2),
        ("[..] | [..]", 4),
        (" | ".join(["tojson"] * 7), 7),
        ("..", 2),
    ],
)
def test_easy_programs(program: str, expected: int) -> None:
    """The usual programs run here, as long as their input is small enough for their degree."""
    assert degree(program) == expected


@pytest.mark.parametrize(
    "program",
    [
        "def f: f; f", "range(9)", "repeat(1)", "[limit(3; .)]", "recurse", "env", "$ENV", "input", '"\\(.)"', "@csv",
        'test("a")', "reduce .[] as $x (0; .)", ". * 9", "-(.)", "# comment", "while(true; .)", "(" * 60, "." * 2000,
    ],
)  # fmt: skip
def test_other_programs(program: str) -> None:
    """Whatever else there is in jq is confined."""
    assert degree(program) is None


@pytest.mark.parametrize(
    "pattern", [r".*\.csv", r"in/(\d{4})-(\d{2})-(\d{2})_(.*)\.csv(\.gz)?", "[*+(]+", r"\(a\)+", "(?i)abc"]
)
def test_easy_patterns(pattern: str) -> None:
    """The usual patterns match object keys here."""
    assert steps(pattern, 100, whole=True) < 10_000_000


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a|a)*", "(a{9}){9}", r"(a)\1", "a*" * 9, "a?" * 60, "(?i)[à-ÿ]", "(a|b)" * 60]
)
def test_other_patterns(pattern: str) -> None:
    """Patterns that could take exponential time, or whose time is hard to tell, are confined."""
    assert steps(pattern, 100, whole=True) > 10_000_000


@pytest.mark.parametrize(
    ("pattern", "text"), [("(a+)+b", "a" * 40), ("(?:a|a)*b", "a" * 40), ("a*a*a*a*b", "a" * 5000)]
)
def test_catastrophic_pattern_is_an_error_soon(pattern: str, text: str) -> None:
    """A pattern that would take years is ended, and named."""
    started = time.monotonic()
    with pytest.raises(ExpressionError) as caught:
        JavaRegex(Confinement()).find(pattern, text)
    assert f"regular expression '{pattern}' takes too long" in caught.value.message
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'a-b' | regexReplace('(a)(-)\\1?', '$2$1') }}", "-ab"),
        ("{{ 'xaay' | regexExtract('(a)\\1') }}", "aa"),
        ("{{ 'xaay' | regexReplace('(?<c>a)\\k<c>', '${c}') }}", "error"),
        ("{{ 'a1b22' | split('(\\d)+') }}", '["a","b"]'),
        ("{{ 'xay' matches '(x(a))+y' }}", "true"),
        ("{{ {'a': [1, 2]} | jq('reduce .a[] as $x (0; . + $x)') }}", "[3]"),
        ("{{ 'é😀' | regexReplace('(😀)+', '!') }}", "é!"),
        ("{{ ['é😀'] | jq('.[] | @json') }}", '["\\"é😀\\""]'),
    ],
)
def test_confined_results_are_the_same(source: str, expected: str) -> None:
    """What is confined gives the same as it would here."""
    expressions = Expressions()
    if expected == "error":
        with pytest.raises(ExpressionError, match="is not a regular expression"):
            expressions.render(source, Scope({}))
    else:
        assert expressions.render(source, Scope({})) == expected


def test_helper_starts_again() -> None:
    """After one had to be ended, the next request gets another helper."""
    confinement = Confinement()
    for _ in range(2):
        with pytest.raises(ExpressionError, match="takes too long or too much memory"):
            confinement.ask(ENDLESS)
        assert confinement.ask(JQ) == [1]


def test_memory_is_limited() -> None:
    """A program that builds without end is ended by its limit of memory, if not by time."""
    with pytest.raises(ExpressionError, match="takes too long or too much memory"):
        Confinement().ask({"program": '"x" * 1e9 | length', "text": "1", "most": 9})


def test_malformed_is_reported() -> None:
    """A mistake in the program is not a failure of the helper."""
    with pytest.raises(ValueError, match="syntax error"):
        Confinement().ask({"program": ".[", "text": "1", "most": 9})


def test_helper_has_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the daemon's environment is there to be read."""
    monkeypatch.setenv("TIDEWAITER_CANARY", "secret")
    [found] = Confinement().ask({"program": "env", "text": "1", "most": 9})
    assert "TIDEWAITER_CANARY" not in found


def test_helper_ends_with_its_owner() -> None:
    """No process is left when nobody needs it."""
    confinement = Confinement()
    confinement.ask(JQ)
    assert confinement._process is not None
    pid = confinement._process.pid
    assert Path(f"/proc/{pid}").exists()
    del confinement
    gc.collect()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_threads_take_turns() -> None:
    """Answers do not get mixed up."""
    confinement, answers = Confinement(), {}

    def ask(number: int) -> None:
        answers[number] = confinement.ask({"program": ".", "text": str(number), "most": 9})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [number] for number in range(20)}


def test_a_helper_that_somebody_else_killed_is_replaced() -> None:
    """The kernel may, out of memory; what was asked for is asked again."""
    confinement = Confinement()
    assert confinement.ask(JQ) == [1]
    helper = confinement._process
    assert helper is not None
    os.kill(helper.pid, signal.SIGKILL)
    assert confinement.ask(JQ) == [1]
    assert confinement._process is not helper
