"""The benchmark as it is started, on tiny sizes; what it measures then means nothing."""

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("tidewaiter")
TINY = {"rounds": 2, "objects": 15, "arrivals": 2, "seconds": 1, "starts": 1, "tasks": 3, "keys": 40}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder with a short path, since the control socket's path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:
        yield Path(folder)


def bench(scratch: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    sizes = [text for name, number in TINY.items() for text in (f"--{name}", str(number))]
    command = [sys.executable, "-m", "bench", "--program", str(PROGRAM), "--output", f"{scratch}/latest.json"]
    return subprocess.run(
        [*command, *sizes, *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch), "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_PROFILE": "nobody"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def measured(scratch: Path) -> Any:
    """Everything measured once, as JSON."""
    done = bench(scratch, "--json", "--seed", "7", "--output", f"{scratch}/all.json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_figure_is_measured(measured: Any) -> None:
    """Each figure has values, and a verdict if it has a budget; only the trace may be missing, without strace."""
    missing = {figure["name"] for figure in measured["figures"] if figure["verdict"] == "not measured"}
    assert missing <= {"fsynced commits of one object alone"}
    assert len(measured["figures"]) == 18
    assert sum(figure["verdict"] in {"meets", "misses"} for figure in measured["figures"]) >= 10


def test_a_round_has_a_value_on_both_sides(measured: Any) -> None:
    """A comparison is made of pairs."""
    compared = [figure for figure in measured["figures"] if figure["peer"]]
    assert compared
    assert all(len(figure["values"]) == len(figure["peer"]) == TINY["rounds"] for figure in compared)


def test_raw_values_are_kept(measured: Any, scratch: Path) -> None:
    """The file has what was printed, with the seed and the sizes to repeat it."""
    assert json.loads((scratch / "all.json").read_text()) == measured
    assert (measured["seed"], measured["sizes"]) == (7, TINY)


def test_nothing_is_left_behind(measured: Any, scratch: Path) -> None:
    """No process works in the folder any more, and the folder is gone."""
    assert measured["figures"]
    assert list(scratch.glob("tidewaiter-bench-*")) == []
    assert [link for link in Path("/proc").glob("[0-9]*/cwd") if is_below(link, scratch)] == []


def is_below(link: Path, folder: Path) -> bool:
    try:
        return link.readlink().is_relative_to(folder)
    except OSError:
        return False


def test_the_table_tells_how_it_was_measured(scratch: Path) -> None:
    """Below the figures stand the commands and the machine."""
    shown = bench(scratch, "--only", "startup").stdout
    assert "start to ready" in shown
    assert "tidewaiter validate $WORK/validate/round-N/flow.yaml" in shown
    assert f"Python {sys.version.split()[0]}" in shown


def test_a_program_that_does_nothing_is_not_fast(scratch: Path) -> None:
    """Measuring a program that ends at once is an error, not a figure."""
    done = bench(scratch, "--only", "intake", "--program", "/bin/true")
    assert done.returncode != 0
    assert "did not get ready" in done.stderr


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"values": (1.0, 9.0, 2.0), "budget": 2.0}, "meets"),
        ({"values": (1.0, 9.0, 2.0), "budget": 2.0, "quantile": 0.99}, "misses"),
        ({"values": (1.0, 3.0), "peer": (2.0, 6.0), "factor": 0.5}, "meets"),
        ({"values": (1.0, 3.0), "peer": (2.0, 6.0), "factor": 1.0, "more_is_better": True}, "misses"),
        ({"values": (1.0,), "peer": (2.0,)}, "-"),
        ({"values": (), "budget": 1.0}, "not measured"),
    ],
)
def test_a_verdict_follows_from_the_values(given: dict[str, Any], verdict: str) -> None:
    """Budgets bound what stands for the values, peers bound the ratio within each round."""
    figure = runpy.run_path(str(ROOT / "bench/figure.py"))["Figure"]
    assert figure("a figure", "s", **given).verdict == verdict
