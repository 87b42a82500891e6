"""``tidewaiter migrate``."""

import stat
from pathlib import Path

import pytest

from tidewaiter.daemon.cli import main

OLD = "id: old\nnamespace: demo\ntasks: [{id: a, type: io.kestra.core.tasks.log.Log, message: hi}]\n"
NEW = OLD.replace("io.kestra.core.tasks.log.Log", "io.kestra.plugin.core.log.Log")


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_bytes(OLD.encode())
    path.chmod(0o640)
    return path


def test_the_changes_are_shown(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a diff on stdout; the file stays."""
    assert main(["migrate", str(flow)]) == 0
    out, err = capsys.readouterr()
    assert (f"+{NEW.splitlines()[2]}" in out.splitlines(), err) == (True, "1 of 1 flow files would change\n")
    assert flow.read_text() == OLD


def test_the_changes_are_written(flow: Path) -> None:
    """The file gets them as a whole and keeps its mode; nothing else is left in the folder."""
    assert main(["migrate", "--write", str(flow)]) == 0
    assert (flow.read_text(), stat.S_IMODE(flow.stat().st_mode)) == (NEW, 0o640)
    assert [path.name for path in flow.parent.iterdir()] == ["old.yaml"]


def test_a_link_stays_a_link(flow: Path, tmp_path: Path) -> None:
    """What it leads to is rewritten."""
    link = tmp_path / "link.yaml"
    link.symlink_to(flow)
    assert main(["migrate", "--write", str(link)]) == 0
    assert (link.is_symlink(), flow.read_text()) == (True, NEW)


def test_outdated_files_are_named(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 as long as there is one, 0 afterwards: a gate for a pipeline."""
    assert main(["migrate", "--check", str(flow)]) == 1
    assert capsys.readouterr().out == f"{flow}\n"
    main(["migrate", "--write", str(flow)])
    assert main(["migrate", "--check", str(flow)]) == 0


def test_a_broken_file_does_not_keep_others_from_it(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told with its place, and the exit code is 2."""
    (flow.parent / "broken.yaml").write_text("id: [\n")
    assert main(["migrate", "--write", str(flow.parent)]) == 2
    assert (flow.read_text(), "broken.yaml:2:1" in capsys.readouterr().err) == (NEW, True)
