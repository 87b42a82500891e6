"""The key/value stores of namespaces."""

from datetime import UTC, datetime, timedelta

import pytest
from workshop.builders import Workshop, until

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal import kv
from tidewaiter.daemon.journal.kv import MAX_VALUE, KeyValues, ScopedKeyValues
from tidewaiter.tasks.context import KeyValue


@pytest.fixture
async def values(database: SqliteDatabase) -> KeyValues:
    return await KeyValues.over(database)


def lasting(**time: float) -> datetime:
    return datetime.now(UTC) + timedelta(**time)


async def test_values_outlive_the_daemon(database: SqliteDatabase, values: KeyValues) -> None:
    """What was set is read again, with all that belongs to it."""
    value = KeyValue({"a": [1, None, "ü"]}, "about it", lasting(hours=1))
    await values.set("demo", "k", value)
    await values.set("demo", "gone", KeyValue(1))
    await values.delete("demo", "gone")
    again = await KeyValues.over(database)
    assert (again.find("demo", "k"), again.find("demo", "gone"), again.keys("demo")) == (value, None, ["k"])


async def test_an_expired_value_is_as_if_it_had_never_been(database: SqliteDatabase, values: KeyValues) -> None:
    """It is not found, not listed, may be set anew, and the next change takes it out of the database."""
    await values.set("demo", "k", KeyValue(1, expires=lasting(milliseconds=20)))
    await until(lambda: values.find("demo", "k") is None)
    assert (values.keys("demo"), (await KeyValues.over(database)).keys("demo")) == ([], [])
    assert await values.set("demo", "other", KeyValue(2), overwrite=False)
    assert [row["entry_key"] for row in await database.read(lambda tx: tx.all("all_values"))] == ["other"]
    assert await values.set("demo", "k", KeyValue(3), overwrite=False)


async def test_a_key_that_is_there_may_be_kept(values: KeyValues) -> None:
    """Without overwriting, setting it again does nothing and says so."""
    assert [await values.set("demo", "k", KeyValue(n), overwrite=False) for n in (1, 2)] == [True, False]
    assert values.find("demo", "k") == KeyValue(1)


async def test_what_is_given_out_is_a_copy(values: KeyValues) -> None:
    """Whoever changes a value it was given changes nothing here."""
    await values.set("demo", "k", KeyValue({"a": 1}))
    found = values.find("demo", "k")
    assert found is not None
    found.value["a"] = 2
    assert values.find("demo", "k") == KeyValue({"a": 1})


async def test_values_are_bounded(values: KeyValues, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is too big, and one too many, is refused with a remedy; the old one stays."""
    await values.set("demo", "k", KeyValue(1))
    with pytest.raises(TaskError, match="keep big contents as files"):
        await values.set("demo", "k", KeyValue("x" * MAX_VALUE))
    monkeypatch.setattr(kv, "MAX_ALL", 10)
    await values.set("demo", "k", KeyValue("x" * 8))
    with pytest.raises(TaskError, match="no longer fits"):
        await values.set("demo", "l", KeyValue(1))
    assert values.find("demo", "k") == KeyValue("x" * 8)


async def test_the_function_of_expressions(values: KeyValues) -> None:
    """It looks in the flow's namespace and those above it, or in the one it names; what is missing is an error."""
    await values.set("demo", "k", KeyValue({"a": 1}))
    function = ScopedKeyValues(values, "demo.team.sub").function
    assert (function("k"), function("k", "demo"), function("k", "other", error_on_missing=False)) == ({"a": 1},) * 2 + (
        None,
    )
    with pytest.raises(ExpressionError, match="no key 'k' in the namespace 'other'"):
        function("k", "other")


async def test_a_flow_writes_and_reads(workshop: Workshop) -> None:
    """What one task sets, the next one's expressions see, as do other executions."""
    body = """
        tasks:
          - {id: set, type: kv.Set, key: rows, value: "{{ 6 * 7 }}"}
          - {id: say, type: debug.Return, format: "{{ kv('rows') + 1 }} {{ kv('none', errorOnMissing=false) is null }}"}
    """
    ended = await workshop.do(body)
    assert (await workshop.task_runs(ended))["say"].outputs == {"value": "43 true"}
    assert workshop.journal.kv.find("demo", "rows") == KeyValue(42)
