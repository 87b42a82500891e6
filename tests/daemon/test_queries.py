"""Named SQL and migrations."""

import re
import sqlite3

import pytest

from tidewaiter.daemon.database.queries import migrations, queries


@pytest.fixture(scope="module")
def schema() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for script in migrations().values():
        connection.executescript(script)
    return connection


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_statement_fits_the_schema(schema: sqlite3.Connection, name: str) -> None:
    """Each named statement can be prepared against the newest schema."""
    text = queries()[name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", text))
    assert schema.execute(f"EXPLAIN {text}", parameters).fetchall()


RARE = {
    "bound_for": "once a day, for uploads left behind; routes have no index by destination",
    "count_detections": "asked by an operator",
    "count_executions": "asked by an operator",
    "count_quarantined": "asked by an operator",
    "execution_states": "by fsck",
    "expired_executions": "once an hour",
    "last_ended": "once at the start",
}


@pytest.mark.parametrize("name", sorted(queries().keys() - RARE.keys()))
def test_what_is_asked_often_uses_an_index(schema: sqlite3.Connection, name: str) -> None:
    """Nothing that runs at every poll or step reads the whole of a table that grows."""
    text = queries()[name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", text))
    plan = " | ".join(row[3] for row in schema.execute(f"EXPLAIN QUERY PLAN {text}", parameters))
    growing = r"SCAN (detection|execution|seen|route|log|task_run|[der])\b(?! USING)"
    assert not re.search(growing, plan), plan


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    """A number is never left out, so that each database can tell what it lacks."""
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


def test_the_statements_cannot_be_changed() -> None:
    """They are read once and shared."""
    with pytest.raises(TypeError):
        queries()["x"] = "y"  # type: ignore[index] # that is the test
