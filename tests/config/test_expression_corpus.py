"""Agreement with Pebble and Kestra on the expressions of the corpus, where there is one (``TIDEWAITER_CORPUS``)."""

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

CORPUS = Path(os.environ.get("TIDEWAITER_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
FILES = ("pebble_cases.jsonl", "pebble_probe.jsonl")

REASONS: Mapping[str, str] = {
    "not yet: Ion and YAML": "p0171 p0172 p0173 p0174 p0175 p0194 p0196",
    "a function of the host, not given here": "p0224 p0241 p0242 p0243 p0259 p0304 p0306 p0794",
    "Java's number types that we do not tell apart": "p0132 p0149 p0153 p0808 q283 q292",
    "Pebble alone prints lists and maps in Java's way": (
        "p0327 p0328 p0329 p0330 p0338 p0340 p0341 p0351 p0352 p0365 p0366 p0367 p0592 p0598 p0601 p0612"
    ),
    "Pebble alone lets variables be missing, Kestra does not": "p0379 p0519 p0528 p0531 p0532 p0542 p0554 p0713",
    "Pebble alone trims the line break after a tag": "p0614",
    "Pebble's own date filter, which Kestra replaces": "p0392 p0394 p0395",
    "tags and filters that Kestra leaves out": "p0477 p0478 p0479 p0512 p0516 p0533 p0707",
    "names that existed on a branch or for a short time": "p0749 p0768 p0769 p0770 p0771",
    "the case lacks its variables": "p0806",
    "an operator of our own": "q106",
}
DIFFERENT: Mapping[str, str] = {case: reason for reason, listed in REASONS.items() for case in listed.split()}
"""Case ids that do not agree, and why. A listed case that agrees fails its test, and has to be taken off the list."""

DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "$float32": float,
    "$zoned": datetime.fromisoformat,
    "$instant": datetime.fromisoformat,
    "$localdatetime": datetime.fromisoformat,
    "$localdate": date.fromisoformat,
    "$date": lambda milliseconds: datetime.fromtimestamp(milliseconds / 1000, UTC),
    "$duration": str,
    "$bigdecimal": Decimal,
    "$bigint": int,
    "$set": lambda items: [decoded(item) for item in items],
    "$enum": str,
}


def decoded(value: Any) -> Any:
    """Turn the corpus' notation for Java values into ours."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        [(key, inner), *rest] = [*value.items()] or [("", None)]
        if not rest and key in DECODERS:
            return DECODERS[key](inner)
        return {name: decoded(item) for name, item in value.items()}
    return value


def cases() -> Iterator[dict[str, Any]]:
    """Every case of the corpus that is about expressions of our engine."""
    for name in FILES:
        path = CORPUS / name
        if path.is_file():
            yield from filter(applicable, map(json.loads, path.read_text().splitlines()))


def applicable(case: Mapping[str, Any]) -> bool:
    """Leave out what is not about the engine: automatic escaping, other options, the host's files, whole maps."""
    return (
        isinstance(case["expr"], str)
        and "setup" not in case
        and not case.get("needs_network")
        and (case.get("engine") != "pebble" or case.get("kestra_like") or case.get("error"))
        and not (set(case.get("engine_options", {})) - {"strictVariables", "autoEscaping"})
    )


ALL = list(cases())


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions()


def test_corpus_is_there() -> None:
    """The corpus was found, and has the cases we know of."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}; set TIDEWAITER_CORPUS")
    assert len(ALL) > 500
    assert DIFFERENT.keys() <= {case["id"] for case in ALL}


@pytest.mark.parametrize("case", ALL, ids=[case["id"] for case in ALL])
def test_case(expressions: Expressions, case: dict[str, Any]) -> None:
    """An expression gives what Pebble with Kestra's extensions gives, unless the difference is listed."""
    found = disagreement(expressions, case)
    if case["id"] in DIFFERENT:
        assert found, f"{case['id']} agrees now: take it off the list"
    else:
        assert not found, f"{case['expr']}: {found}"


def disagreement(expressions: Expressions, case: dict[str, Any]) -> str | None:
    """Say how our result differs from the expected one; None if it does not."""
    scope = Scope(decoded(case["context"]), {})
    try:
        given = expressions.render(case["expr"], scope)
        typed = expressions.evaluate(case["expr"], scope) if "expected_typed" in case else None
    except ExpressionError as error:
        return None if case.get("error") else f"fails with {error}"
    if case.get("error"):
        return f"gives {given!r} instead of an error"
    if "expected_typed" in case and not same(typed, case["expected_typed"]):
        return f"is {typed!r} instead of {case['expected_typed']!r}"
    return next(
        (
            f"gives {given!r}, expected {name} {case[name]!r}"
            for name, holds in CHECKS.items()
            if name in case and not holds(given, case[name])
        ),
        None,
    )


def same(given: Any, expected: Any) -> bool:
    """Compare values as JSON sees them."""
    return json.dumps(given, sort_keys=True) == json.dumps(expected, sort_keys=True) or (
        isinstance(given, float) and isinstance(expected, float) and math.isclose(given, expected)
    )


CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "expected": lambda given, expected: given == str(expected),
    "expected_contains": lambda given, parts: all(part in given for part in parts),
    "expected_not_contains": lambda given, parts: not any(part in given for part in parts),
    "expected_starts_with": lambda given, start: given.startswith(start),
    "expected_ends_with": lambda given, end: given.endswith(end),
    "expected_matches": lambda given, pattern: re.search(pattern, given) is not None,
    "expected_length": lambda given, length: len(given) == length,
    "expected_min": lambda given, least: int(given) >= least,
    "expected_max": lambda given, most: int(given) <= most,
    "expected_json": lambda given, expected: json.loads(given) == expected,
    "expected_json_contains": lambda given, parts: all(part in json.loads(given) for part in parts),
    "expected_json_length": lambda given, length: len(json.loads(given)) == length,
    "not_expected": lambda given, unwanted: given != unwanted,
}
