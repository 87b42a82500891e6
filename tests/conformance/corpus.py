"""The corpus of real flows and expectations (``CONFORMANCE_CORPUS``). It is read, never copied."""

import csv
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(os.environ.get("CONFORMANCE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
_INPUTS = re.compile(r"inputs=(\{.*?\})\)")
_STATE = re.compile(r"execution\.state\.current == ([A-Z]+)")
_COUNT = re.compile(r"len\(execution\.taskRuns\) == (\d+)")


@dataclass(frozen=True)
class CorpusFlow:
    """One flow of the corpus, as its index describes it."""

    path: str
    name: str
    in_family: bool
    runnable: bool
    outside: str

    @property
    def text(self) -> str:
        """The flow itself."""
        return (CORPUS / self.path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Expectation:
    """What an upstream test expects of a flow: the states it may end in, and how many task runs there are."""

    test: str
    inputs: Mapping[str, Any]
    states: frozenset[str]
    counts: frozenset[int]


def _table(name: str) -> Iterator[dict[str, str]]:
    with (CORPUS / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def flows() -> list[CorpusFlow]:
    """Every flow of the corpus."""
    return [
        CorpusFlow(
            row["path"],
            f"{row['namespace']}.{row['flow_id']}",
            row["in_family"] == "yes",
            row["runnable_offline"] == "yes",
            row["out_of_family_types"],
        )
        for row in _table("index.tsv")
    ]


def invalid() -> list[tuple[str, str]]:
    """The flows that upstream rejects, or that fail, each with what upstream says of it."""
    return [(row["path"], row["upstream_assertions"]) for row in _table("invalid_flows.tsv")]


@functools.cache
def older_names() -> list[tuple[str, str]]:
    """Each older name of a type, with its present one."""
    return [(row["alias"], row["canonical"]) for row in _table("aliases.tsv")]


def expectations() -> dict[str, list[Expectation]]:
    """What upstream tests that run a single flow expect of it, by its path."""
    found: dict[str, list[Expectation]] = {}
    for row in _table("upstream_expectations.tsv"):
        paths = row["corpus_paths"].split(",")
        if len(paths) == 1 and (CORPUS / paths[0]).is_file() and not row["ordered_steps"]:
            states, counts = _STATE.findall(row["then"]), _COUNT.findall(row["then"])
            inputs = _inputs(f"{row['given']} {row['when']}")
            if (states or counts) and inputs is not None:
                expectation = Expectation(row["test"], inputs, frozenset(states), frozenset(map(int, counts)))
                found.setdefault(paths[0], []).append(expectation)
    return found


def _inputs(given: str) -> dict[str, Any] | None:
    """The inputs a test gives; None where they are more than plain JSON."""
    if "inputs=" not in given:
        return {}
    match = _INPUTS.search(given)
    try:
        inputs: dict[str, Any] | None = json.loads(match[1]) if match else None
    except ValueError:
        return None
    return inputs
