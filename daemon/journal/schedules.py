"""Where schedules stand. A date is handed out and its execution created in one transaction, or neither is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.journal.launches import Launch, launch
from tidewaiter.daemon.records import TriggerKey, execution_id, parse_timestamp, timestamp


@dataclass(frozen=True, slots=True)
class Reached:
    """The *last* date of a schedule that needs nothing any more, and what its dates were like then."""

    definition: str
    last: datetime


class Schedules:
    """Reads and writes of the dates that schedules have reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reached(self) -> Mapping[TriggerKey, Reached]:
        """Where each known schedule stands."""
        rows = await self._database.read(lambda tx: tx.all("schedules"))
        return {
            TriggerKey.parse(row["trigger_key"]): Reached(row["definition"], parse_timestamp(row["last_date"]))
            for row in rows
        }

    async def begin(self, trigger: TriggerKey, definition: str, moment: datetime) -> None:
        """Let a schedule begin after that moment, unless it has begun with this *definition* already."""
        values = {"definition": definition, "last_date": timestamp(moment)}
        await self._database.write(lambda tx: tx.run("begin_schedule", trigger_key=str(trigger), **values))

    async def hand_out(self, trigger: TriggerKey, date: datetime, order: Launch) -> bool:
        """
        Create the execution of that date and note that the schedule has reached it; False if it had. The execution's
        id follows from trigger and date.
        """
        moment = timestamp(date)

        def work(tx: Transaction) -> bool:
            if not tx.run("advance_schedule", trigger_key=str(trigger), last_date=moment):
                return False
            return launch(tx, execution_id(f"{trigger}@{moment}"), order)

        return await self._database.write(work)

    async def advance(self, trigger: TriggerKey, moment: datetime) -> None:
        """Note that nothing up to that moment is due any more."""
        values = {"trigger_key": str(trigger), "last_date": timestamp(moment)}
        await self._database.write(lambda tx: tx.run("advance_schedule", **values))

    async def keep(self, triggers: Collection[TriggerKey]) -> None:
        """Forget all schedules but those of *triggers*: should they come back, they begin anew."""
        gone = [trigger for trigger in await self.reached() if trigger not in triggers]

        def work(tx: Transaction) -> None:
            for trigger in gone:
                tx.run("forget_schedule", trigger_key=str(trigger))

        if gone:
            await self._database.write(work)

    async def live(self, trigger: TriggerKey) -> int:
        """How many executions of *trigger* have not ended."""
        row = await self._database.read(lambda tx: tx.one("live_executions", trigger_key=str(trigger)))
        return int(row["number"]) if row else 0
