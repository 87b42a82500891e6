"""The tasks on key/value stores, over the journal's."""

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import PropertyError, TaskError
from tidewaiter.config.spec import concrete
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.journal.kv import KeyValues, ScopedKeyValues
from tidewaiter.tasks.kv import Delete, Get, GetKeys, Set, run_delete, run_get, run_get_keys, run_set


@pytest.fixture(name="kv_context")
async def _kv_context(make_context, tmp_path):
    """A task of a flow in ``demo.team``."""
    async with database_at(tmp_path / "db") as database:
        yield make_context(kv=ScopedKeyValues(await KeyValues.over(database), "demo.team"))


def set_(key, value, **properties):
    return Set(id="t", type="kv.Set", key=key, value=value, **properties)


def get(key, **properties):
    return Get(id="t", type="kv.Get", key=key, **properties)


def delete(key, **properties):
    return Delete(id="t", type="kv.Delete", key=key, **properties)


async def value(context, key, **properties):
    return (await run_get(get(key, **properties), context)).outputs["value"]


@pytest.mark.parametrize(
    ("given", "kind", "kept"),
    [
        ("{{ n }}", None, 7),
        ("{{ m }}", None, {"a": [1]}),
        ("n = {{ n }}", None, "n = 7"),
        ({"a": "{{ n }}"}, None, {"a": 7}),
        ("{{ n }}", "STRING", "7"),
        ("123.45", "NUMBER", 123.45),
        ("true", "BOOLEAN", True),
        ("2023-05-02T01:02:03Z", "DATETIME", "2023-05-02T01:02:03Z"),
        ("2023-05-02", "DATE", "2023-05-02"),
        ("P1DT5S", "DURATION", 86405.0),
        ("{{ m }}", "JSON", {"a": [1]}),
    ],
)
async def test_types(kv_context, values, given, kind, kept):
    """A value has the type that is named, or else that of its expression."""
    values.variables.update(n=7, m={"a": [1]})
    assert await run_set(set_("k", given, kvType=kind), kv_context)
    assert await value(kv_context, "k") == kept


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("x", "NUMBER"),
        ("true", "NUMBER"),
        ("soon", "DATETIME"),
        ("2023-13-01", "DATE"),
        ("5s", "DURATION"),
        ("{", "JSON"),
    ],
)
async def test_values_that_do_not_fit(kv_context, given, kind):
    """The error names key and type."""
    with pytest.raises(TaskError, match=f"key 'k' is no {kind}"):
        await run_set(set_("k", given, kvType=kind), kv_context)


async def test_namespaces(kv_context):
    """A task sees the namespaces above its own, and writes to its own or to the one it names."""
    await run_set(set_("k", "above", namespace="demo"), kv_context)
    assert await value(kv_context, "k") == "above"
    await run_set(set_("k", "own"), kv_context)
    assert (await value(kv_context, "k"), await value(kv_context, "k", namespace="demo")) == ("own", "above")
    assert await value(kv_context, "k", namespace="other") is None


async def test_overwrite(kv_context):
    """Without it the first value stays."""
    await run_set(set_("k", "1", overwrite=False), kv_context)
    with pytest.raises(TaskError, match="has a value already"):
        await run_set(set_("k", "2", overwrite=False), kv_context)
    assert await value(kv_context, "k") == "1"


async def test_keys(kv_context):
    """Keys are found by their beginning."""
    for key in ("b", "a1", "a2"):
        await run_set(set_(key, "x"), kv_context)
    for prefix, found in (("a", ["a1", "a2"]), ("", ["a1", "a2", "b"])):
        spec = GetKeys(id="t", type="kv.GetKeys", prefix=prefix)
        assert (await run_get_keys(spec, kv_context)).outputs == {"keys": found}


async def test_missing(kv_context):
    """What is not there is null or false, or an error if it must be there."""
    assert await value(kv_context, "k") is None
    assert (await run_delete(delete("k"), kv_context)).outputs == {"deleted": False}
    with pytest.raises(TaskError, match="no key 'k'"):
        await run_get(get("k", errorOnMissing=True), kv_context)
    with pytest.raises(TaskError, match="no key 'k' in namespace 'demo'"):
        await run_delete(delete("k", errorOnMissing=True, namespace="demo"), kv_context)


async def test_delete(kv_context):
    """A deleted key is gone."""
    await run_set(set_("k", "x"), kv_context)
    assert (await run_delete(delete("k"), kv_context)).outputs == {"deleted": True}
    assert await value(kv_context, "k") is None


def test_keys_that_are_none():
    """A key is made of letters, digits, dots, dashes and underscores, before and after rendering."""
    with pytest.raises(ValidationError):
        set_("a b", "x")
    with pytest.raises(PropertyError, match="key"):
        concrete(set_("{{ k }}", "x"), lambda _: "a/b")
