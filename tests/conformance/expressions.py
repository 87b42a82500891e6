"""
The expression cases of the corpus (``CONFORMANCE_CORPUS``), and how our results compare with the expected ones.

Cases that are known to differ, or that are about something else, are listed with the reason in
``expression_differences.json``.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from conformance.corpus import CORPUS
from conformance.outcome import Outcome

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

FILES = ("pebble_cases.jsonl", "pebble_probe.jsonl")
DIFFERENCES: Mapping[str, Mapping[str, list[str]]] = json.loads(
    Path(__file__).with_name("expression_differences.json").read_text()
)


def listed(kind: str) -> dict[str, str]:
    """Case id to reason, of those that ``differs`` or are ``out_of_scope``."""
    return {case: reason for reason, cases in DIFFERENCES[kind].items() for case in cases}


def cases() -> Iterator[dict[str, Any]]:
    """Every expression case of the corpus; none if there is no corpus."""
    for name in FILES:
        path = CORPUS / name
        if path.is_file():
            yield from map(json.loads, path.read_text().splitlines())


def compared() -> list[Outcome]:
    """Give what came of each case."""
    expressions, differs, outside = Expressions(), listed("differs"), listed("out_of_scope")
    found = []
    for case in cases():
        problem = disagreement(expressions, case)
        known = differs.get(case["id"])
        if case["id"] in outside:
            found.append(Outcome(case["id"], "outside", outside[case["id"]]))
        elif known:
            found.append(Outcome(case["id"], "differs" if problem else "failed", known))
        else:
            found.append(Outcome(case["id"], "failed" if problem else "passed", problem or ""))
    return found


def disagreement(expressions: Expressions, case: Mapping[str, Any]) -> str | None:
    """Say how our result differs from the expected one; None if it does not."""
    scope = Scope(decoded(case["context"]), Host(case).functions(), recursive=configured(case, "recursive-rendering"))
    source = escaping(case) if isinstance(case["expr"], str) else case["expr"]
    try:
        given = rendered(expressions, source, scope)
        typed = expressions.evaluate(source, scope) if "expected_typed" in case else None
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


def rendered(expressions: Expressions, value: Any, scope: Scope) -> Any:
    """Render the strings of *value*, as is done with a task's properties."""
    if isinstance(value, str):
        return expressions.render(value, scope)
    if isinstance(value, dict):
        return {rendered(expressions, key, scope): rendered(expressions, item, scope) for key, item in value.items()}
    return [rendered(expressions, item, scope) for item in value] if isinstance(value, list) else value


def escaping(case: Mapping[str, Any]) -> str:
    """Give the source of a case; Pebble's own cases escape by default, Kestra's do not."""
    escapes = case.get("engine") == "pebble" and not case.get("kestra_like")
    if not escapes or not case.get("engine_options", {}).get("autoEscaping", True) or case.get("error"):
        return str(case["expr"])
    return f"{{% autoescape %}}{case['expr']}{{% endautoescape %}}"


def configured(case: Mapping[str, Any], name: str, otherwise: str = "") -> bool:
    """Tell whether a setting of the case, named by the end of its name, is neither absent nor false."""
    config = case.get("setup", {}).get("config", {})
    found = next((value for key, value in config.items() if key.endswith(name)), otherwise)
    return found not in {"", "false"}


class Host:
    """A stand-in for what a server lends to expressions: the files, keys and logs that a case sets up."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        setup, self.context = case.get("setup", {}), case["context"]
        self.storage: Mapping[str, str] = setup.get("storage", {})
        may_read = configured(case, "allowed-paths") and configured(case, "enable-file-functions", "true")
        self.local: Mapping[str, str] = setup.get("local_files", {}) if may_read else {}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by the name they have in expressions."""
        return {
            "read": self.file,
            "fileSize": lambda path, namespace=None: len(self.file(path, namespace).encode()),
            "isFileEmpty": lambda path, namespace=None: not self.file(path, namespace),
            "fileExists": lambda path, namespace=None: bool(self.file(path, namespace)),
            "fileURI": self.uri,
            "kv": self.kv,
        }

    def file(self, path: str, namespace: str | None = None) -> str:
        """Give the content of a file of the execution, of a namespace, or of the machine."""
        scheme, mark, rest = path.partition("://")
        if not mark:
            return self.found(self.storage, self.in_namespace(path, namespace))
        if scheme == "nsfile":
            host, _, name = rest.partition("/")
            return self.found(self.storage, self.in_namespace(name, host))
        if scheme == "file":
            return self.found(self.local, rest)
        if not self.may_read(rest):
            raise ExpressionError("the file belongs to another execution")
        return self.found(self.storage, rest)

    def found(self, files: Mapping[str, str], path: str) -> str:
        """Give the content of *path*, or fail."""
        if path not in files:
            raise ExpressionError(f"there is no file {path}")
        return files[path]

    def may_read(self, path: str) -> bool:
        """Tell whether *path* is of this execution or the one that triggered it."""
        flow, trigger = self.context.get("flow", {}), self.context.get("trigger")
        if f"/executions/{self.context['execution']['id']}/" in path:
            return True
        if trigger is None:
            return "tenantId" in flow
        return "namespace" in trigger and f"/executions/{trigger.get('executionId')}/" in path

    def in_namespace(self, name: str, namespace: str | None) -> str:
        """Give the path of a namespace file."""
        folder = (namespace or self.context["flow"]["namespace"]).replace(".", "/")
        return f"/{folder}/_files/{name}"

    def uri(self, name: str) -> str:
        """Give the URI of a namespace file."""
        if ".." in name:
            raise ExpressionError("a path must not leave the namespace")
        return f"kestra://{self.in_namespace(name, None)}"

    def kv(self, key: str, namespace: str | None = None, *, error_on_missing: bool = True) -> None:
        """Give nothing: no case has set a key."""
        if error_on_missing:
            raise ExpressionError(f"there is no key {key} in {namespace}")


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


def same(given: Any, expected: Any) -> bool:
    """Compare values as JSON sees them."""
    return json.dumps(given, sort_keys=True) == json.dumps(expected, sort_keys=True) or (
        isinstance(given, float) and isinstance(expected, float) and math.isclose(given, expected)
    )


CHECKS: Mapping[str, Callable[[Any, Any], bool]] = {
    "expected": lambda given, expected: (
        given == (expected if isinstance(expected, dict | list) else str(expected))
        or (given == expected and type(given) is type(expected))
    ),
    "expected_any_order": lambda given, expected: sorted(given) == sorted(expected),
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
