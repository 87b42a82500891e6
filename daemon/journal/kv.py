"""
The key/value stores of namespaces.

Expressions ask for values while they are rendered, so all of them are in memory, too; the journal is the only one that
writes them, and memory follows what has reached the disk.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.records import now, parse_timestamp, timestamp
from tidewaiter.tasks.context import KeyValue

MAX_VALUE = 1024**2
MAX_ALL = 64 * 1024**2
"""Bytes of one value as JSON, and of all values together."""

_SMALLER = "keep big contents as files of internal storage"


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    description: str | None = None
    expires: datetime | None = None

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(UTC)


class KeyValues:
    """All values of all namespaces. An expired one is as if it had never been."""

    def __init__(self, database: Database, entries: dict[tuple[str, str], _Entry]) -> None:
        self._database = database
        self._entries = entries
        self._changing = asyncio.Lock()

    @classmethod
    async def over(cls, database: Database) -> "KeyValues":
        """Read every value in *database* that has not expired."""
        rows = await database.read(lambda tx: tx.all("all_values"))
        entries = {
            (row["namespace"], row["entry_key"]): _Entry(
                row["value"], row["description"], parse_timestamp(row["expires_at"]) if row["expires_at"] else None
            )
            for row in rows
        }
        return cls(database, {name: entry for name, entry in entries.items() if not entry.expired})

    def find(self, namespace: str, key: str) -> KeyValue | None:
        """Give the value of *key* in *namespace*, None if there is none."""
        entry = self._entries.get((namespace, key))
        if entry is None or entry.expired:
            return None
        return KeyValue(json.loads(entry.text), entry.description, entry.expires)

    def inherited(self, namespace: str, key: str) -> KeyValue | None:
        """Give the value of *key* in *namespace* or else in the nearest namespace above it (Kestra's ``kv()``)."""
        while namespace:
            if found := self.find(namespace, key):
                return found
            namespace = namespace.rpartition(".")[0]
        return None

    def keys(self, namespace: str) -> list[str]:
        """Give the keys in *namespace*, sorted."""
        return sorted(key for (owner, key), entry in self._entries.items() if owner == namespace and not entry.expired)

    async def set(self, namespace: str, key: str, value: KeyValue, *, overwrite: bool = True) -> bool:
        """
        Set *key* in *namespace*; tells whether that was done: without *overwrite* a key that is there stays as it is.
        While the disk is full it waits.

        Raises:
            TaskError: the value is no JSON, or too big.
        """
        entry = _Entry(_json(key, value.value), value.description, value.expires)
        async with self._changing:
            if not overwrite and self.find(namespace, key):
                return False
            self._forget_expired()
            self._must_fit(namespace, key, entry)
            await until_recorded(lambda: self._database.write(lambda tx: _write(tx, namespace, key, entry)))
            self._entries[namespace, key] = entry
        return True

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove *key* from *namespace*; tells whether it was there. Idempotent."""
        async with self._changing:
            there = self.find(namespace, key) is not None
            await until_recorded(lambda: self._database.write(lambda tx: _remove(tx, namespace, key)))
            self._entries.pop((namespace, key), None)
        return there

    def _forget_expired(self) -> None:
        """Take out of memory what `_write` takes out of the database."""
        for name in [name for name, entry in self._entries.items() if entry.expired]:
            del self._entries[name]

    def _must_fit(self, namespace: str, key: str, entry: _Entry) -> None:
        others = sum(len(other.text) for name, other in self._entries.items() if name != (namespace, key))
        if others + len(entry.text) > MAX_ALL:
            raise TaskError(f"the value of key '{key}' no longer fits: all values have {others} bytes", _SMALLER)


def _json(key: str, value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TaskError(f"the value of key '{key}' cannot be written as JSON: {error}") from error
    if len(text) > MAX_VALUE:
        raise TaskError(f"the value of key '{key}' has {len(text)} bytes, at most {MAX_VALUE} can be kept", _SMALLER)
    return text


def _write(tx: Transaction, namespace: str, key: str, entry: _Entry) -> None:
    tx.run("delete_expired_values", now=now())
    tx.run(
        "set_value",
        namespace=namespace,
        entry_key=key,
        value=entry.text,
        description=entry.description,
        expires_at=timestamp(entry.expires) if entry.expires else None,
        updated_at=now(),
    )


def _remove(tx: Transaction, namespace: str, key: str) -> int:
    return tx.run("delete_value", namespace=namespace, entry_key=key)


@dataclass(frozen=True, slots=True)
class ScopedKeyValues:
    """
    The stores as a flow in *namespace* sees them (`tidewaiter.tasks.context.KeyValues`). It may name any other
    namespace, as in Kestra's open-source edition.
    """

    values: KeyValues
    namespace: str

    def find(self, key: str, namespace: str | None = None) -> KeyValue | None:
        """See `KeyValues.find`."""
        return self.values.find(namespace, key) if namespace else self.values.inherited(self.namespace, key)

    def keys(self, namespace: str | None = None) -> list[str]:
        """See `KeyValues.keys`."""
        return self.values.keys(namespace or self.namespace)

    async def set(self, key: str, value: KeyValue, namespace: str | None = None, *, overwrite: bool = True) -> bool:
        """See `KeyValues.set`."""
        return await self.values.set(namespace or self.namespace, key, value, overwrite=overwrite)

    async def delete(self, key: str, namespace: str | None = None) -> bool:
        """See `KeyValues.delete`."""
        return await self.values.delete(namespace or self.namespace, key)

    def function(self, key: str, namespace: str | None = None, error_on_missing: bool | None = None) -> Any:  # noqa: FBT001 - Kestra's argument
        """
        Do ``kv(key, namespace, errorOnMissing)`` of an expression.

        Raises:
            ExpressionError: there is no such key, and *error_on_missing* is not false.
        """
        found = self.find(key, namespace)
        if found is None and error_on_missing is not False:
            where = namespace or self.namespace
            raise ExpressionError(
                f"there is no key '{key}' in the namespace '{where}'",
                "set it with core.kv.Set, or use errorOnMissing=false",
            )
        return found.value if found else None
