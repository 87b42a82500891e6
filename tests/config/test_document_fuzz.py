"""YAML as bad as it comes: a flow, or a `ConfigError`, soon, and within bounds."""

import contextlib
import json
import random
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.flows import parse_flow

LONGEST_SECONDS = 2.0
MEMORY_BYTES = 1 << 30

TOKENS = [
    *("a", "id", "type", "tasks", "triggers", "inputs", "<<", "values", "errors", "retry", "pluginDefaults", "cases"),
    *(": ", ":", "- ", "-", "\n", "\n  ", "\n    ", "\t", " ", "? ", "|\n", ">-\n", "#", ",", "[", "]", "{", "}"),
    *("&x ", "*x", "&x", "!!str ", "!!python/object ", "!tag ", "!!map ", "!!set ", "!!float ", "%YAML 1.2\n", "---\n"),
    *("...\n", "'", '"', "\\", "\x00", "\x85", "\ufeff", "\u2028", "\ud800", "\x1b", "{{ a }}", "{{", "{%", "'{{ x'"),
    *(
        "null",
        "~",
        "true",
        "1",
        "0x1F",
        "0o7",
        "1e400",
        ".inf",
        ".nan",
        "9" * 4000,
        "1:30",
        "2026-01-01",
        "=",
        "@",
        "`",
    ),
]
VALID = """\
id: f
namespace: demo
labels: {team: quay}
inputs:
  - {id: n, type: INT, defaults: 3, min: 1}
variables: &v {a: 1}
tasks:
  - id: each
    type: flow.ForEach
    values: "{{ range(1, inputs.n) }}"
    retry: {type: constant, interval: PT1S, maxAttempts: 2}
    tasks:
      - {id: t, type: debug.Return, format: "{{ taskrun.value }}"}
  - id: choose
    type: flow.Switch
    value: "{{ outputs.t }}"
    cases:
      a: [{id: u, type: debug.Return, format: x}]
  - id: w
    type: flow.WorkingDirectory
    tasks:
      - {id: s, type: shell.Commands, commands: ["echo 'a'"], env: {A: b}}
errors:
  - {id: e, type: log.Log, message: sorry}
triggers:
  - {id: arrival, type: aws.s3.Trigger, bucket: b, prefix: p/, action: DELETE, interval: PT1M}
pluginDefaults:
  - {type: shell, values: {timeout: PT5M}}
concurrency: {limit: 2}
"""
EXPRESSIONS = Expressions()


def read(text: str) -> None:
    """Do with *text* what is done with a flow file; nothing but a `ConfigError` may come of it, and that soon."""
    begin = time.monotonic()
    with contextlib.suppress(ConfigError):
        parse_flow(text, "fuzz.yaml", EXPRESSIONS)
    assert time.monotonic() - begin < LONGEST_SECONDS


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_soups_of_tokens(text: str) -> None:
    """Whatever a parser looks for, in any order."""
    read(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    """Control characters and halves of surrogate pairs among them."""
    read(text)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 6))
def test_flows_with_mistakes(seed: int, changes: int) -> None:
    """Parts left out, doubled, exchanged, or replaced by tokens that do not belong there."""
    chance, text = random.Random(seed), VALID
    for _ in range(changes):
        at = chance.randrange(len(text))
        end = min(len(text), at + chance.randrange(40))
        piece = chance.choice(["", text[at:end] * 2, chance.choice(TOKENS), text[chance.randrange(len(text)) :][:30]])
        text = text[:at] + piece + text[end:]
    read(text)


WRONG = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(TOKENS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_values_of_the_wrong_kind(data: st.DataObject) -> None:
    """Anything in the place of any property."""
    flow = parse(VALID, "flow.yaml").data
    *path, last = data.draw(st.sampled_from(_places(flow)[1:]))
    node = flow
    for key in path:
        node = node[key]
    node[last] = data.draw(WRONG)
    read(json.dumps(flow))


TASK = "id: f\nnamespace: d\ntasks:\n - "
LOG = TASK + "{id: a-b, type: log.Log, message: "
BOMBS = {
    "billion laughs": "a0: &a0 [x,x]\n"
    + "".join(f"a{n}: &a{n} [*a{n - 1},*a{n - 1},*a{n - 1}]\n" for n in range(1, 40)),
    "deep brackets": "[" * 100_000,
    "deep braces": "{a: " * 100_000,
    "deep blocks": "".join(" " * n + "a:\n" for n in range(1_000)),
    "deep sequences": "- " * 100_000,
    "deep keys": "? " * 100_000,
    "a long line": "id: " + "x" * 10_000_000,
    "a line as long as may be": "id: " + "x" * 1_000_000,
    "many keys": "".join(f"k{n}: 1\n" for n in range(1_000_000)),
    "as many keys as may be": "".join(f"k{n}: 1\n" for n in range(90_000)),
    "the same key": "a: 1\n" * 90_000,
    "merged maps": "x: &x {" + ",".join(f"k{n}: 1" for n in range(300)) + "}\ny:\n  <<: [" + "*x," * 100_000 + "]",
    "merges of merges": "a0: &a0 {k: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 60)),
    "an alias of itself": "&a [*a]\n",
    "many anchors": "".join(f"- &a{n} x\n" for n in range(90_000)),
    "many tasks": "id: f\nnamespace: d\ntasks:\n" + " - {id: t, type: nope}\n" * 20_000,
    "unknown properties": "id: f\nnamespace: d\n" + "".join(f"taskz{n}: 1\n" for n in range(30_000)),
    "nested tasks": TASK + "{id: a, type: flow.Sequential, tasks: [" * 30 + "]}" * 30,
    "many expressions": LOG + "[" + "'{{ a }}'," * 50_000 + "]}",
    "a long expression": LOG + '"{{ ' + "a + " * 200_000 + 'a }}"}',
    "open expressions": LOG + '"' + "{{ " * 300_000 + '"}',
    "dashes": LOG + '"{{ outputs.' + "a-" * 400_000 + ' }}"}',
    "a long number": "a: " + "9" * 1_000_000,
    "a long float": "a: " + "1" * 3_000 + "e" + "9" * 900,
    "a long tag": "!<" + "x" * 900_000 + "> a",
    "a long comment": "#" + "x" * 1_000_000,
    "many documents": "--- a\n" * 100_000,
    "escapes": '"' + "\\x41" * 200_000 + '"',
}

PROGRAM = f"""
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.flows import parse_flow
expressions, text = Expressions(), sys.stdin.read()
begin = time.process_time()
try:
    parse_flow(text, "bomb.yaml", expressions)
except ConfigError as error:
    str(error)
assert time.process_time() - begin < {LONGEST_SECONDS}, time.process_time() - begin
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """Each is defused within two seconds and a gibibyte, in a process that a mistake of ours could not outlive."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=BOMBS[name], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
