"""Answers requests about a state directory that no daemon works in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidewaiter.config.document import parse
from tidewaiter.daemon.control import Control
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.operations import Facts, Operations
from tidewaiter.daemon.records import TriggerKey
from tidewaiter.daemon.storage import witness_of


async def answer(state_dir: Path, method: str, path: str, query: Mapping[str, str]) -> Any:
    """
    Answer one request from the journal, owning it meanwhile.

    Raises:
        DatabaseLockedError: a daemon is starting or stopping there; try again.
        DatabaseRolledBackError: the journal is an older copy; what it says is not what happened.
    """
    async with database_at(state_dir / "tidewaiter.db", witness_of(state_dir / "storage")) as database:
        journal = await Journal.over(database)

        async def facts() -> Facts:
            return await _facts(journal)

        return await Operations(journal, Control(journal), facts, daemon=False).answer(method, path, query)


async def _facts(journal: Journal) -> Facts:
    """The triggers of the flows as they were when the daemon last ran."""
    found: dict[TriggerKey, dict[str, Any]] = {}
    for namespace, flow_id, source in await journal.triggers.latest_flows():
        for trigger in parse(source, flow_id).data.get("triggers") or ():
            key = TriggerKey(namespace, flow_id, trigger["id"])
            found[key] = {
                "type": trigger["type"],
                "state": "STOPPED",
                "bucket": trigger.get("bucket"),
                "prefix": trigger.get("prefix"),
                "action": trigger.get("action"),
                "lastPoll": None,
                "waiting": False,
                "backlog": None,
                "held": {},
                "capabilities": None,
                "watches": None,
            }
    return found
