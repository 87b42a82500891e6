"""``tidewaiter executions`` on a state directory in which no daemon works."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from workshop.builders import Intake

from tidewaiter.daemon.cli import main
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import ExecutionState, LogLine, TaskRun, TaskRunState, now
from tidewaiter.daemon.storage import Storage, execution_folder

KEY = "raw/\x1b[2J\u202e.csv"


def in_journal(state: Path, work: Callable[[Journal], Awaitable[Any]]) -> Any:
    async def carry_out() -> Any:
        async with database_at(state / "tidewaiter.db") as database:
            return await work(await Journal.over(database))

    return asyncio.run(carry_out())


async def _fill(journal: Journal, state: Path) -> list[str]:
    """One execution that has ended, with a log and a file, and one that waits."""
    intake = Intake(journal)
    ended, waiting = await intake.deliver(KEY), await intake.deliver("raw/b.csv")
    path = Storage(state / "storage").root / execution_folder("demo", "orders", ended.id) / "tasks" / "x-out.csv"
    path.parent.mkdir(parents=True)
    path.write_text("result")
    outputs = {"outputFiles": {"sub/out.csv": Storage(state / "storage").uri(path)}, "rows": 3}
    await journal.executions.start(ended)
    await journal.executions.start_task(TaskRun(ended.id, "clean", 1, TaskRunState.RUNNING, now()))
    run = TaskRun(ended.id, "clean", 1, TaskRunState.RUNNING, "")
    await journal.executions.end_task(run, TaskRunState.SUCCESS, outputs, None)
    for message in ("one", "two \x1b[2J"):
        journal.logs.append(LogLine(ended.id, "clean", 1, "2026-01-01T10:11:12.123456Z", "INFO", message))
    await journal.logs.flush()
    await journal.executions.end(ended.id, ExecutionState.SUCCESS, {"total": 3})
    return [ended.id, waiting.id]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ids(state: Path) -> list[str]:
    found: list[str] = in_journal(state, lambda journal: _fill(journal, state))
    return found


@pytest.fixture
def run(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a verb; gives exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["executions", *arguments, "--state-dir", str(state)])
        return code, *capsys.readouterr()

    return call


def test_list_for_people(run: Any, ids: list[str]) -> None:
    """A table, newest first; hostile keys do nothing to the terminal."""
    code, out, err = run("list")
    lines = out.splitlines()
    assert (code, err, [line[:8] for line in lines[1:]]) == (0, "", [ids[1][:8], ids[0][:8]])
    assert ("\x1b" in out, "\u202e" in out, r"\x1b[2J" in out) == (False, False, True)


def test_list_as_json(run: Any, ids: list[str]) -> None:
    """An array in the promised shape."""
    code, out, err = run("list", "--json", "--limit", "1")
    [shown] = json.loads(out)
    assert (code, err, shown["id"], shown["trigger"]["objects"][0]["key"]) == (0, "", ids[1], "raw/b.csv")


@pytest.mark.parametrize(
    ("arguments", "number"), [(["--state", "success"], 1), (["--state", "FAILED"], 0), (["--flow", "demo.orders"], 2)]
)
def test_list_some(run: Any, ids: list[str], arguments: list[str], number: int) -> None:
    """By state, in either case, and by flow."""
    assert len(json.loads(run("list", "--json", *arguments)[1])) == number


def test_show(run: Any, ids: list[str]) -> None:
    """As people read it, and as JSON with task runs and outputs."""
    code, out, _ = run("show", ids[0][:8])
    assert (code, "SUCCESS" in out, "clean/sub/out.csv" in out, "\x1b" in out) == (0, True, True, False)
    shown = json.loads(run("show", ids[0], "--json")[1])
    assert ([task["taskId"] for task in shown["taskRuns"]], shown["outputs"]) == (["clean"], {"total": 3})


def test_logs(run: Any, ids: list[str]) -> None:
    """Time, level, task and message; escaped for people, whole as JSON."""
    assert run("logs", ids[0])[1].splitlines() == [
        "10:11:12.123 INFO  clean: one",
        r"10:11:12.123 INFO  clean: two \x1b[2J",
    ]
    assert [line["message"] for line in json.loads(run("logs", ids[0], "--json")[1])] == ["one", "two \x1b[2J"]


def test_following_a_log_ends_with_the_execution(run: Any, ids: list[str]) -> None:
    """Nobody has to interrupt it."""
    assert len(run("logs", ids[0], "--follow")[1].splitlines()) == 2


def test_outputs(run: Any, ids: list[str]) -> None:
    """Values and files, of tasks and of the flow."""
    shown = json.loads(run("outputs", ids[0], "--json")[1])
    assert (shown["tasks"]["clean"]["rows"], shown["outputs"], list(shown["files"])) == (
        3,
        {"total": 3},
        ["clean/sub/out.csv"],
    )
    assert "clean.rows = 3" in run("outputs", ids[0])[1]


def test_download(run: Any, ids: list[str], tmp_path: Path) -> None:
    """Files are copied under their names; stdout stays empty."""
    code, out, err = run("download", ids[0], "--output", str(tmp_path / "here"))
    assert (code, out, "1 files copied" in err) == (0, "", True)
    assert (tmp_path / "here/clean/sub/out.csv").read_text() == "result"


def test_download_of_a_file_that_is_not_there(run: Any, ids: list[str]) -> None:
    """Exit code 1, with what there is."""
    code, _, err = run("download", ids[0], "nope")
    assert (code, "gave out no file 'nope'" in err, "clean/sub/out.csv" in err) == (1, True, True)


def test_replay(run: Any, ids: list[str]) -> None:
    """Its id is data; what has not ended cannot be replayed."""
    code, out, _ = run("replay", ids[0])
    assert (code, json.loads(run("show", out.strip(), "--json")[1])["originalId"]) == (0, ids[0])
    assert run("replay", ids[1])[0] == 1


def test_kill(run: Any, ids: list[str], state: Path) -> None:
    """It is on record for the next start; what has ended cannot be killed."""
    assert run("kill", ids[1])[0] == 0
    assert [e.id for e in in_journal(state, lambda journal: journal.executions.to_kill())] == [ids[1]]
    code, out, err = run("kill", ids[0])
    assert (code, out, "has ended already (SUCCESS)" in err) == (1, "", True)


@pytest.mark.parametrize("name", ["nope", "zzzz", "%", "../x"])
def test_an_execution_nobody_knows(run: Any, ids: list[str], name: str) -> None:
    """Exit code 1; the message is on stderr."""
    code, out, err = run("show", name)
    assert (code, out, err.startswith("tidewaiter: ")) == (1, "", True)


def test_a_folder_in_which_nobody_has_worked(run: Any, state: Path) -> None:
    """Exit code 2, and nothing is made there."""
    code, out, err = run("list")
    assert (code, out, "no tidewaiter has worked in this state directory" in err) == (2, "", True)
    assert not state.exists()


def test_a_state_directory_that_is_a_file(run: Any, state: Path) -> None:
    """It is told, without a traceback."""
    state.write_text("x")
    assert run("list")[0] == 2


def test_an_unreachable_control_socket_is_told(run: Any, ids: list[str], state: Path) -> None:
    """Something else is in its place: exit code 1, without a traceback."""
    (state / "control.sock").mkdir()
    code, out, err = run("list")
    assert (code, out, err.startswith("tidewaiter: ")) == (1, "", True) or code == 0


def test_a_bad_setting_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, naming the variable."""
    monkeypatch.setenv("TIDEWAITER_STAT_DIR", "x")
    code, _, err = run("list")
    assert (code, err) == (2, "TIDEWAITER_STAT_DIR: unknown setting (see 'tidewaiter schema --settings')\n")
