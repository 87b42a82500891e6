"""``tidewaiter triggers`` on a state directory in which no daemon works."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.daemon.cli import main
from tidewaiter.daemon.cli.triggers import _deletes
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import TriggerKey

FLOW = """\
id: orders
namespace: demo
tasks: [{id: a, type: log.Log, message: hi}]
triggers: [{id: arrival, type: aws.s3.Trigger, bucket: harbour, prefix: raw/, action: NONE}]
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder in which a daemon has served one flow, and had trouble."""

    async def fill() -> None:
        async with database_at(tmp_path / "tidewaiter.db") as database:
            journal = await Journal.over(database)
            await journal.triggers.register("demo", "orders", FLOW)
            await journal.triggers.report(
                TriggerKey("demo", "orders", "arrival"), "AccessDenied", "no \x1b[2J", "allow"
            )

    asyncio.run(fill())
    return tmp_path


@pytest.fixture
def run(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["triggers", *arguments, "--state-dir", str(state)])
        return code, *capsys.readouterr()

    return call


def test_list_for_people(run: Any) -> None:
    """A table, and below it what is wrong, with a hint and nothing that moves the cursor."""
    code, out, _ = run("list")
    assert (code, "demo/orders/arrival" in out, "s3://harbour/raw/" in out, "hint: allow" in out) == (
        0,
        True,
        True,
        True,
    )
    assert "\x1b" not in out


def test_list_as_json(run: Any) -> None:
    """The flows are those of when the daemon last ran."""
    [shown] = json.loads(run("list", "--json")[1])
    assert (shown["name"], shown["state"], shown["bucket"], shown["problem"]["cause"]) == (
        "demo/orders/arrival", "ERROR", "harbour", "AccessDenied",
    )  # fmt: skip


def test_pause_and_resume(run: Any) -> None:
    """They count for the next start; messages are on stderr."""
    code, out, err = run("pause", "orders/arrival")
    assert (code, out, err.startswith("demo/orders/arrival paused")) == (0, "", True)
    assert json.loads(run("list", "--json")[1])[0]["state"] == "PAUSED"
    assert run("resume", "demo.orders/arrival")[0] == 0
    assert json.loads(run("list", "--json")[1])[0]["state"] == "ERROR"


def test_a_paused_trigger_does_not_keep_a_single_run_from_ending(run: Any, state: Path, tmp_path: Path) -> None:
    """'run --once' has nothing to wait for: exit code 0, and the store is not even asked."""
    (tmp_path / "orders.yaml").write_text(
        FLOW.replace("action: NONE", "action: NONE, endpointOverride: 'http://127.0.0.1:9'")
    )
    run("pause", "orders/arrival")
    command = [sys.executable, "-m", "tidewaiter.daemon", "run", "--once", "--flows", tmp_path / "orders.yaml"]
    done = subprocess.run([*command, "--state-dir", state], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_polling_needs_a_daemon(run: Any) -> None:
    """Exit code 1, with what to do."""
    code, _, err = run("poll", "orders/arrival")
    assert (code, "nothing looks for objects" in err, "tidewaiter run" in err) == (1, True, True)


def test_a_trigger_nobody_knows(run: Any) -> None:
    """Exit code 1, with where to look."""
    code, _, err = run("pause", "nope/nope")
    assert (code, "there is no trigger 'nope/nope'" in err, "triggers list" in err) == (1, True, True)


@pytest.mark.parametrize(
    ("versioning", "conditional", "word"),
    [(True, False, "by version"), (False, True, "conditionally"), (False, False, "unsafe")],
)
def test_how_the_store_deletes(versioning: bool, conditional: bool, word: str) -> None:
    """What the probe showed, in a word."""
    assert _deletes({"versioning": versioning, "deleteIfMatch": conditional}) == word
    assert _deletes(None) == "-"
