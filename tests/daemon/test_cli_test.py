"""``tidewaiter test``: a flow on local files, with everything real but the bucket."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tidewaiter.daemon.cli import main

FLOW = """\
id: orders
namespace: demo
tasks:
  - id: upper
    type: shell.Commands
    runner: PROCESS
    inputFiles:
      data.txt: "{{ trigger.objects[0].uri }}"
    commands:
      - tr a-z A-Z < data.txt > out.txt
      - cat out.txt
      - "{{ vars.then ?? 'true' }}"
    outputFiles: ["out.txt"]
  - {id: key, type: debug.Return, format: "{{ trigger.objects | jq('.[].key') }}"}
triggers:
  - {id: first, type: aws.s3.Trigger, bucket: harbour, prefix: raw/, action: DELETE}
  - {id: second, type: aws.s3.Trigger, bucket: "{{ vars.b }}", prefix: other/, action: NONE}
variables: {then: "true"}
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The verb sets what belongs to its own process; give it back."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    structlog.reset_defaults()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "a.txt").write_text("hello\n")
    return tmp_path / "flow.yaml"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main(["test", *arguments, "--json"])
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


def test_a_flow_runs_on_a_local_file(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0; the log, each task and the files are shown."""
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt"))]) == 0
    out = capsys.readouterr().out
    assert ("HELLO" in out, "SUCCESS" in out, "upper/out.txt" in out) == (True, True, True)


def test_the_object_stands_where_the_trigger_looks(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bucket and key are those of the trigger's prefix and the file's name, or as given."""
    given = [str(flow), "--object", str(flow.with_name("a.txt"))]
    [found] = shown(capsys, *given)["trigger"]["objects"]
    assert (found["bucket"], found["key"], found["size"]) == ("harbour", "raw/a.txt", 6)
    assert shown(capsys, *given, "--key", "raw/x/b.csv")["trigger"]["objects"][0]["key"] == "raw/x/b.csv"


def test_another_trigger_can_be_named(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The flow's first is meant unless said otherwise."""
    found = shown(capsys, str(flow), "--object", str(flow.with_name("a.txt")), "--trigger", "second")
    assert (found["trigger"]["id"], found["trigger"]["objects"][0]["key"]) == ("second", "other/a.txt")


def test_several_objects_make_one_execution(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As if they had arrived together."""
    flow.with_name("b.txt").write_text("x")
    found = shown(capsys, str(flow), "--object", str(flow.with_name("a.txt")), "--object", str(flow.with_name("b.txt")))
    assert [item["key"] for item in found["trigger"]["objects"]] == ["raw/a.txt", "raw/b.txt"]


def test_a_flow_that_fails(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, with the reason."""
    flow.write_text(FLOW.replace('then: "true"', "then: exit 4"))
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt"))]) == 1
    assert "error: task 'upper'" in capsys.readouterr().out


def test_files_are_copied_where_they_are_wanted(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the flow gave out, under its task's name."""
    folder = flow.parent / "given"
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt")), "--output", str(folder)]) == 0
    assert (folder / "upper" / "out.txt").read_text() == "HELLO\n"
    assert "1 files copied" in capsys.readouterr().err


def test_nothing_is_left_behind(flow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state directory of the trial goes with it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt"))]) == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--object", "nope.txt"], "nope.txt: the object's file cannot be read"),
        (["--object", "a.txt", "--trigger", "third"], "has no trigger 'third'"),
        (["--object", "a.txt", "--object", "sub/a.txt"], "two objects have the same key"),
    ],
)
def test_what_cannot_be_tried(
    flow: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    """Exit code 2, with the reason on stderr."""
    monkeypatch.chdir(flow.parent)
    (flow.parent / "sub").mkdir()
    (flow.parent / "sub" / "a.txt").write_text("other")
    assert main(["test", str(flow), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, reason in err) == ("", True)


def test_a_broken_flow_is_told_like_validate_does(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with line and column."""
    flow.write_text(FLOW.replace("runner: PROCESS", "runer: PROCESS"))
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt"))]) == 2
    assert f"{flow}:6:5: unknown property 'runer'" in capsys.readouterr().err


def test_a_bad_secret_is_a_mistake_of_the_configuration(
    flow: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, naming the variable."""
    monkeypatch.setenv("SECRET_TOKEN", "not base64!")
    assert main(["test", str(flow), "--object", str(flow.with_name("a.txt"))]) == 2
    assert "SECRET_TOKEN: the value is not base64" in capsys.readouterr().err


def test_captures_are_seen(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The parts of a key that the trigger's pattern names are there as they would be in service."""
    flow.write_text(FLOW.replace("prefix: raw/,", "prefix: raw/, pattern: 'raw/{name}.txt',"))
    details = shown(capsys, str(flow), f"--object={flow.parent / 'a.txt'}")
    assert details["trigger"]["objects"][0]["captures"] == {"name": "a"}
