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


@pytest.mark.parametrize(
    "name", ["live_detections", "live_batches", "seen_between", "live_between", "ended_since", "batch_detections"]
)
def test_what_every_poll_asks_uses_an_index(schema: sqlite3.Connection, name: str) -> None:
    """Nothing that runs at every poll reads a whole table."""
    text = queries()[name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", text))
    plan = " | ".join(row[3] for row in schema.execute(f"EXPLAIN QUERY PLAN {text}", parameters))
    assert not re.search(r"SCAN (detection|execution|seen)\b(?! USING)", plan), plan


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    """A number is never left out, so that each database can tell what it lacks."""
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


def test_the_statements_cannot_be_changed() -> None:
    """They are read once and shared."""
    with pytest.raises(TypeError):
        queries()["x"] = "y"  # type: ignore[index] # that is the test
