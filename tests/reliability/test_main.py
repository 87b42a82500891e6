"""``python -m reliability`` as it is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def reliability(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "reliability", "--scale", "short", *arguments]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_experiment_is_run_once(tmp_path: Path) -> None:
    """The table is printed and kept with its seed; asked to go on, what is there is not run again."""
    output = tmp_path / "reliability.json"
    first = reliability("--only", "model", "--seed", "5", "--output", str(output))
    again = reliability("--only", "model", "--resume", "--output", str(output))
    kept = json.loads(output.read_text())["experiments"]
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert (list(kept), kept["model"]["seed"], kept["model"]["scale"]) == (["model"], 5, "short")
    assert "reliability: model: there already" in again.stderr
    assert first.stdout == again.stdout
    assert "states of the protocol that break an invariant" in first.stdout


def test_a_figure_that_is_not_met_is_a_failure(tmp_path: Path) -> None:
    """The exit code tells, also of what was measured before."""
    output = tmp_path / "reliability.json"
    reliability("--only", "model", "--output", str(output))
    kept = json.loads(output.read_text())
    kept["experiments"]["model"]["figures"][0]["met"] = False
    output.write_text(json.dumps(kept))
    done = reliability("--only", "model", "--resume", "--output", str(output))
    assert (done.returncode, "NO" in done.stdout) == (1, True)
