"""``tidewaiter validate``."""

import json
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.daemon.cli import main

GOOD = "id: good\nnamespace: demo\ntasks: [{id: a, type: log.Log, message: hi}]\n"
BAD = "id: bad\nnamespace: demo\ntasks:\n  - id: a\n    type: log.Lgo\n  - id: b\n    type: log.Log\n    mesage: hi\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("good.yaml", GOOD), ("sub/bad.yml", BAD), ("broken.yaml", "id: [\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_valid_flows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, nothing on stdout, a word on stderr."""
    assert main(["validate", str(folder / "good.yaml")]) == 0
    assert capsys.readouterr() == ("", "1 of 1 flow files are valid\n")


def test_every_mistake_of_every_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; each on a line of stdout that editors can follow."""
    assert main(["validate", str(folder)]) == 2
    out, err = capsys.readouterr()
    places = [line.split(": ")[0].removeprefix(f"{folder}/") for line in out.splitlines()]
    assert sorted(places) == ["broken.yaml:2:1", "sub/bad.yml:5:11", "sub/bad.yml:6:5", "sub/bad.yml:8:5"]
    assert err == "1 of 3 flow files are valid\n"


def test_a_mistake_in_a_choice_has_its_own_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The runner that the type selects knows its properties."""
    runner = "    taskRunner:\n      type: io.kestra.plugin.scripts.runner.docker.Docker\n      pullPolcy: NEVER\n"
    (tmp_path / "a.yaml").write_text(
        f"id: a\nnamespace: demo\ntasks:\n  - id: a\n    type: shell.Commands\n    commands: [ls]\n{runner}"
    )
    assert main(["validate", str(tmp_path)]) == 2
    assert "a.yaml:9:7: unknown property 'pullPolcy' (did you mean 'pullPolicy'?)" in capsys.readouterr().out


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry per file, in the promised shape."""
    assert main(["validate", "--json", str(folder)]) == 2
    report: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [set(entry) for entry in report] == [{"file", "valid", "flowId", "errors", "warnings"}] * 3
    found = {Path(entry["file"]).name: entry for entry in report}
    assert (found["good.yaml"]["valid"], found["good.yaml"]["flowId"], found["good.yaml"]["errors"]) == (
        True,
        "good",
        [],
    )
    assert (found["bad.yml"]["valid"], [error["line"] for error in found["bad.yml"]["errors"]]) == (False, [5, 6, 8])
    assert set(found["bad.yml"]["errors"][0]) == {"line", "column", "message", "hint"}


def test_a_flow_in_two_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second one is wrong."""
    (folder / "twice.yaml").write_text(GOOD)
    assert main(["validate", str(folder / "good.yaml"), str(folder / "twice.yaml")]) == 2
    assert "is defined in" in capsys.readouterr().out


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, said on stderr."""
    assert main(["validate", str(tmp_path / "nope")]) == 2
    out, err = capsys.readouterr()
    assert (out, "nope: no such file or folder" in err) == ("", True)


def test_a_folder_without_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrong with nothing, but it is said."""
    assert main(["validate", str(tmp_path)]) == 0
    assert "no flow files found" in capsys.readouterr().err


def test_deep_nonsense_is_refused_in_a_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file made to crash parsers is a mistake like any other."""
    (tmp_path / "bomb.yaml").write_text("[" * 200_000)
    assert main(["validate", str(tmp_path)]) == 2
    assert "nested deeper than 64 levels" in capsys.readouterr().out
