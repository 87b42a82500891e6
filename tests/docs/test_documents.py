"""What README and docs show is true: flows load, settings load, commands parse, links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tidewaiter.config.document import parse
from tidewaiter.config.expression import Expressions
from tidewaiter.config.settings import load_settings
from tidewaiter.daemon.cli.parser import make_parser
from tidewaiter.daemon.flows import parse_flow

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MAKE_DOORS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block in *language* with the page it stands on."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page.name, text) for page in PAGES for text in fence.findall(page.read_text())]


def commands(program: str) -> list[str]:
    """Every shown command line of *program*, without its comment."""
    lines = [line.split("#")[0].strip() for _, text in [*blocks("sh"), *blocks("")] for line in text.splitlines()]
    return sorted({line for line in lines if line.startswith(f"{program} ")})


@pytest.mark.parametrize("text", [text for _, text in blocks("yaml") if text.startswith("id:")])
def test_shown_flows_load(text: str) -> None:
    """A flow in the documentation is valid."""
    assert parse_flow(text, "README.md", Expressions()).tasks


def test_the_shown_flow_runs(tmp_path: Path) -> None:
    """The README's flow does what it is shown for, on a file of three lines."""
    flow = next(text for _, text in blocks("yaml") if text.startswith("id:"))
    (tmp_path / "flow.yaml").write_text(flow)
    (tmp_path / "data.csv").write_text("a\nb\nc\n")
    command = [sys.executable, "-m", "tidewaiter.daemon", "test", "flow.yaml", "--object=data.csv", "--output=out"]

    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / "out/reading/summary.txt").read_text() == "raw/data.csv has 3 lines\n"


@pytest.mark.parametrize("text", [text for _, text in blocks("yaml") if text.startswith("# settings")])
def test_shown_settings_load(text: str) -> None:
    """Settings in the documentation are valid."""
    assert load_settings(parse(text, "README.md"), {}, {}).runners.docker == "process"


@pytest.mark.parametrize("line", commands("tidewaiter"))
def test_shown_commands_exist(line: str) -> None:
    """A command line in the documentation is understood."""
    assert make_parser().parse_args(shlex.split(line)[1:]).handler


def test_commands_of_the_operators_page_run(tmp_path: Path) -> None:
    """Each of them works on a state directory that a daemon has left, in the order in which they are shown."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "idle.yaml").write_text(
        "id: idle\nnamespace: harbour\ntasks: [{id: a, type: log.Log, message: hi}]\n"
    )
    page = (ROOT / "docs" / "operations.md").read_text()
    shown = re.findall(r"^(tidewaiter (?:doctor|fsck|triggers|executions list).*?)(?:#.*)?$", page, re.MULTILINE)
    for line in ["tidewaiter run --once --flows flows/ --state-dir state/", *shown]:
        command = [sys.executable, "-m", "tidewaiter.daemon", *shlex.split(line)[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert len(shown) >= 7


@pytest.mark.parametrize("line", commands("make"))
def test_shown_doors_exist(line: str) -> None:
    """A make target in the documentation exists."""
    assert line.split()[1] in MAKE_DOORS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link in the documentation names something that is there."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_example_flows_load(path: Path) -> None:
    """An example flow is valid."""
    assert parse_flow(path.read_text(), path.name, Expressions()).tasks


@pytest.mark.parametrize(
    "text", [text for page, text in blocks("yaml") if page == "flows.md"], ids=lambda text: text.split()[1]
)
def test_the_flows_of_the_guide_run(text: str, tmp_path: Path) -> None:
    """Each of them can be tried as it is."""
    (tmp_path / "flow.yaml").write_text(text)
    command = [sys.executable, "-m", "tidewaiter.daemon", "test", "flow.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
