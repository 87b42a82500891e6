"""
The journal: everything the daemon must not forget, written and read as verbs of the domain.

It is the only shared state (design.md §3). Every transition names the state it starts from and answers whether it
happened, so repeating one after a crash or a lost reply does no harm. What a verb returns has reached the disk.
"""

from dataclasses import dataclass

from tidewaiter.daemon.database import Database
from tidewaiter.daemon.journal.detections import Detections
from tidewaiter.daemon.journal.executions import Executions
from tidewaiter.daemon.journal.kv import KeyValues
from tidewaiter.daemon.journal.logs import Logs
from tidewaiter.daemon.journal.objects import Objects
from tidewaiter.daemon.journal.routes import Routes
from tidewaiter.daemon.journal.triggers import Triggers


@dataclass(frozen=True, slots=True)
class Journal:
    """The parts of the journal, by the noun they keep."""

    database: Database
    detections: Detections
    executions: Executions
    kv: KeyValues
    logs: Logs
    objects: Objects
    routes: Routes
    triggers: Triggers

    @classmethod
    async def over(cls, database: Database) -> "Journal":
        """Make the journal kept in *database*."""
        return cls(
            database,
            await Detections.over(database),
            Executions(database),
            await KeyValues.over(database),
            Logs(database),
            Objects(database),
            Routes(database),
            Triggers(database),
        )
