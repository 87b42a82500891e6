"""
What Flow triggers have been told of. An execution that has ended, or pauses, is announced once: what follows from it is
recorded in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.journal.launches import Launch, launch
from tidewaiter.daemon.records import TriggerKey, execution_id, now, parse_timestamp, timestamp


@dataclass(frozen=True, slots=True)
class News:
    """
    An execution to be announced in its *state*, that of its end or a pause; *depth* executions led to it, each by
    starting the next.
    """

    execution_id: str
    state: str
    depth: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Met:
    """A *part* of a *requirement* that was true of an execution."""

    requirement: str
    part: str
    execution_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an announcement means for *trigger*: parts that are met now, and with *order* an execution to start."""

    trigger: TriggerKey
    met: Sequence[tuple[str, str]] = ()
    order: Launch | None = None
    resets: Sequence[str] = field(default_factory=tuple)


class Announcements:
    """Reads and writes of announcements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, limit: int) -> list[News]:
        """The first *limit* of what has not been announced yet, in order of creation."""
        rows = await self._database.read(lambda tx: tx.all("unannounced_executions", limit=limit))
        present = now()
        return [
            News(row["id"], row["state"], row["depth"], parse_timestamp(row["ended_at"] or present)) for row in rows
        ]

    async def quiet(self) -> bool:
        """Whether no execution runs, or will by itself, and every end has been announced: all at one moment."""

        def work(tx: Transaction) -> bool:
            unfinished = tx.one("unfinished_executions")
            return not (unfinished and unfinished["number"]) and not tx.all("unannounced_executions", limit=1)

        return await self._database.read(work)

    async def skip(self) -> None:
        """Announce everything to nobody."""
        await self._database.write(lambda tx: tx.run("announce_all_executions"))

    async def met(self, trigger: TriggerKey) -> list[Met]:
        """What *trigger* waits for and has been true."""
        rows = await self._database.read(lambda tx: tx.all("met", trigger_key=str(trigger)))
        return [
            Met(row["requirement"], row["part"], row["execution_id"], parse_timestamp(row["met_at"])) for row in rows
        ]

    async def announce(self, news: News, consequences: Sequence[Consequence]) -> list[str]:
        """
        Record that *news* has been announced, and what follows; gives the ids of the executions that were created.
        Nothing happens if it had been announced before. Ids follow from trigger, execution and state.
        """

        def work(tx: Transaction) -> list[str]:
            if not tx.run("announce_execution", id=news.execution_id, state=news.state):
                return []
            return [name for consequence in consequences for name in _follow(tx, news, consequence)]

        return await self._database.write(work)


def _follow(tx: Transaction, news: News, consequence: Consequence) -> list[str]:
    key, at = {"trigger_key": str(consequence.trigger)}, timestamp(news.at)
    for requirement, part in consequence.met:
        tx.run("meet", **key, requirement=requirement, part=part, execution_id=news.execution_id, met_at=at)
    for requirement in consequence.resets:
        tx.run("reset_met", **key, requirement=requirement)
    if consequence.order is None:
        return []
    identifier = execution_id(f"{consequence.trigger}@{news.execution_id}/{news.state}")
    if not launch(tx, identifier, consequence.order):
        return []
    tx.run("deepen_execution", id=identifier, depth=news.depth + 1)
    return [identifier]
