"""The auditor sees what is wrong, and nothing in what is right."""

from dataclasses import replace
from typing import Any

import pytest
from reliability.crash_audit import Effect, Evidence, Harm, Journal, audit

URI = "kestra:///n/f/executions/e/trigger/t/d/data"
RUN: dict[str, Any] = {"execution_id": "e", "task_path": "first", "state": "SUCCESS", "attempt": 1}
DETECTION: dict[str, Any] = {"object_key": "raw/a", "batch_id": "b", "state": "DONE", "uri": URI}
EXECUTION: dict[str, Any] = {"id": "e", "batch_id": "b", "state": "SUCCESS", "original_id": None}
EFFECTS = (Effect("first", "e", 1, "raw/a", "A"), Effect("last", "e", 1, "raw/a", "A"))
JOURNAL = Journal([DETECTION], [EXECUTION], [RUN])
FINE = Evidence(
    action="MOVE",
    uploaded={"raw/a": "A"},
    bucket={},
    archive={"archive/a": "A"},
    before=Journal(),
    journal=JOURNAL,
    effects=EFFECTS,
    files=["n/f/executions/e/trigger/t/d/data", "n/f/executions/e/trigger/t/d/manifest.json"],
    work=[],
    running=0,
    code=0,
    kills=1,
)


def test_nothing_is_wrong_where_all_is_well() -> None:
    """An archived object with its one execution is no violation."""
    assert audit(FINE) == []


@pytest.mark.parametrize(
    ("changed", "harm"),
    [
        ({"journal": replace(JOURNAL, executions=[])}, Harm.LOST),
        ({"journal": replace(JOURNAL, executions=[{**EXECUTION, "state": "FAILED"}])}, Harm.LOST),
        ({"effects": [replace(effect, sha256="B") for effect in EFFECTS]}, Harm.LOST),
        ({"effects": EFFECTS[:1]}, Harm.LOST),
        ({"archive": {}}, Harm.LOST),
        ({"action": "NONE", "archive": {}}, Harm.LOST),
        ({"action": "TAG", "bucket": {"raw/a": "A"}, "archive": {}, "untagged": ["raw/a"]}, Harm.LOST),
        ({"journal": replace(JOURNAL, integrity="row 3 missing")}, Harm.LOST),
        ({"files": FINE.files[:1]}, Harm.LOST),
        ({"archive": {"archive/a": "A", "archive/a~1": "A"}}, Harm.DOUBLED),
        ({"effects": [*EFFECTS, Effect("first", "e2", 1, "raw/a", "A")]}, Harm.DOUBLED),
        ({"journal": replace(JOURNAL, executions=[EXECUTION, {**EXECUTION, "batch_id": "c"}])}, Harm.DOUBLED),
        ({"journal": replace(JOURNAL, executions=[EXECUTION, {**EXECUTION, "original_id": "e"}])}, Harm.DOUBLED),
        ({"before": JOURNAL, "effects": [*EFFECTS, Effect("first", "e", 2, "raw/a", "A")]}, Harm.REPEATED),
        ({"kills": 0, "effects": [*EFFECTS, Effect("last", "e", 2, "raw/a", "A")]}, Harm.REPEATED),
        ({"effects": [*EFFECTS, EFFECTS[0]]}, Harm.REPEATED),
        ({"bucket": {"raw/a": "A"}}, Harm.LEFT),
        ({"files": [*FINE.files, "n/f/executions/e/trigger/t/d/data.tmp"]}, Harm.LEFT),
        ({"work": ["e"]}, Harm.LEFT),
        ({"running": 1}, Harm.LEFT),
        ({"code": 1}, Harm.LEFT),
        ({"journal": replace(JOURNAL, detections=[{**DETECTION, "state": "COPIED"}])}, Harm.LEFT),
    ],
)
def test_each_harm_is_seen(changed: dict[str, Any], harm: Harm) -> None:
    """One thing changed, and the auditor names the harm."""
    assert harm in {violation.harm for violation in audit(replace(FINE, **changed))}
