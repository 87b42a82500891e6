"""``tidewaiter lint``."""

import json
from pathlib import Path

import pytest

from tidewaiter.daemon.cli import main

TASK = "id: flow\nnamespace: demo\ntasks:\n  - id: a\n    type: "
FLOWS = {
    "clean": (f"{TASK}log.Log\n    message: hi\n", 0),
    "old": (f"{TASK}io.kestra.core.tasks.log.Log\n    message: hi\n", 0),
    "risky": (f"{TASK}shell.Commands\n    commands: ['{{{{ trigger.body }}}}']\n", 1),
    "broken": (f"{TASK}log.Lgo\n", 2),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (text, _) in FLOWS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, (_, code) in FLOWS.items()])
def test_the_exit_code_tells_the_worst(folder: Path, name: str, code: int) -> None:
    """2 for an error, 1 for a warning, 0 for no more than information."""
    assert main(["lint", str(folder / f"{name}.yaml")]) == code


def test_a_finding_is_a_line_with_its_remedy_below(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Editors follow the place; the summary is a message."""
    main(["lint", str(folder / "old.yaml")])
    out, err = capsys.readouterr()
    first, remedy = out.splitlines()
    assert first.startswith(f"{folder}/old.yaml:5:11: info TW101 type 'io.kestra.core.tasks.log.Log'")
    assert remedy.startswith("    ")
    assert err == "1 flow file, 0 without findings: 0 errors, 0 warnings, 1 info\n"


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry per finding, in the promised shape."""
    assert main(["lint", "--json", str(folder)]) == 2
    found = json.loads(capsys.readouterr().out)
    assert {tuple(entry) for entry in found} == {("file", "line", "column", "severity", "code", "message", "remedy")}
    assert {Path(entry["file"]).stem for entry in found} == {"old", "risky", "broken"}


def test_a_folder_without_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrong with nothing, but it is said."""
    assert main(["lint", str(tmp_path)]) == 0
    assert "no flow files found" in capsys.readouterr().err


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a finding like any other."""
    (tmp_path / "image.yaml").write_bytes(b"\xff\xfe\x00")
    assert main(["lint", str(tmp_path)]) == 2
    assert "TW001 cannot be read" in capsys.readouterr().out
