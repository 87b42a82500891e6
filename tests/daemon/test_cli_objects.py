"""``tidewaiter objects`` on a state directory in which no daemon works."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from workshop.builders import Intake

from tidewaiter.daemon.cli import main
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import ExecutionState, Place, RoutePurpose

FLOW = """\
id: orders
namespace: demo
tasks: [{id: a, type: log.Log, message: hi}]
triggers: [{id: arrival, type: aws.s3.Trigger, bucket: harbour, prefix: raw/, action: NONE}]
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ids(tmp_path: Path) -> dict[str, str]:
    """Objects by their key: a parked one, a quarantined one and one that is done, in a state directory."""

    async def fill() -> dict[str, str]:
        async with database_at(tmp_path / "tidewaiter.db") as database:
            journal = await Journal.over(database)
            await journal.triggers.register("demo", "orders", FLOW)
            intake = Intake(journal)
            [parked] = await intake.claim("parked\x1b[2J")
            await journal.detections.park(intake.source, parked, next_try="2999", error="needs restore")
            failed = await intake.deliver("bad")
            await journal.executions.end(failed.id, ExecutionState.FAILED, route=RoutePurpose.FAILURE)
            [route], [bad] = await journal.routes.due(10), await journal.detections.batch(failed.batch_id)
            await journal.routes.placed(route, Place("harbour", "quarantine/bad", "e2"))
            await journal.routes.done(route, bad, freed=False)
            done = await intake.deliver("done")
            [fine] = await journal.detections.batch(done.batch_id)
            return {"parked": parked.id, "bad": bad.id, "done": fine.id}

    return asyncio.run(fill())


@pytest.fixture
def run(ids: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["objects", *arguments, "--state-dir", str(tmp_path)])
        return code, *capsys.readouterr()

    return call


def test_list_for_people(run: Run) -> None:
    """A table with reasons, and nothing that moves the cursor."""
    code, out, _ = run("list")
    assert (code, "needs restore" in out, "QUARANTINED" in out, "\x1b" in out) == (0, True, True, False)


def test_list_as_json_by_state(run: Run, ids: dict[str, str]) -> None:
    """One entry per object, with where it went after its execution."""
    [shown] = json.loads(run("list", "--state", "quarantined", "--json")[1])
    assert (shown["id"], shown["route"]["key"], shown["state"]) == (ids["bad"], "quarantine/bad", "QUARANTINED")


def test_show_tells_where_it_is(run: Run, ids: dict[str, str]) -> None:
    """The beginning of the id is enough, in lower case, too."""
    code, out, _ = run("show", ids["bad"][:25].lower())
    assert (code, "s3://harbour/quarantine/bad" in out) == (0, True)


def test_retry_says_what_becomes_of_each(run: Run, ids: dict[str, str]) -> None:
    """A parked object is claimed anew, a quarantined one goes back; what is done has nothing left: exit code 1."""
    code, _, err = run("retry", ids["parked"], ids["bad"], ids["done"])
    assert code == 1
    assert [text in err for text in ("next look", "goes back to where it was found", "executions replay")] == [True] * 3


def test_retry_of_all(run: Run, ids: dict[str, str]) -> None:
    """With a trigger, everything of it that needs a hand; not twice."""
    code, _, err = run("retry", "--trigger", "orders/arrival")
    assert (code, err.count("\n"), "next look" in err, "goes back" in err) == (0, 2, True, True)
    code, _, err = run("retry", "--trigger", "orders/arrival")
    assert (code, "no object of orders/arrival is quarantined or parked" in err) == (0, True)


def test_retry_of_nothing(run: Run) -> None:
    """Exit code 2, with how to name objects."""
    code, _, err = run("retry")
    assert (code, "--trigger" in err) == (2, True)
