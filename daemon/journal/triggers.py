"""Flows by revision, and how their triggers fare."""

import json
from collections.abc import Iterable, Mapping

from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.records import TriggerKey, TriggerStatus, now

_SERVED = "served"


class Triggers:
    """Revisions of flows, so that an execution finds the flow it was created with, and the status of triggers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, namespace: str, flow_id: str, source: str) -> int:
        """Give the revision of a flow's source text: the latest one if that is the same text, else the next number."""

        def work(tx: Transaction) -> int:
            latest = tx.one("latest_flow", namespace=namespace, flow_id=flow_id)
            if latest is not None and latest["source"] == source:
                return int(latest["revision"])
            revision = int(latest["revision"]) + 1 if latest else 1
            tx.run(
                "insert_flow", namespace=namespace, flow_id=flow_id, revision=revision, source=source, created_at=now()
            )
            return revision

        return await self._database.write(work)

    async def source(self, namespace: str, flow_id: str, revision: int) -> str | None:
        """Give the text of a flow as of *revision*; None if it was never registered."""
        row = await self._database.read(
            lambda tx: tx.one("flow_revision", namespace=namespace, flow_id=flow_id, revision=revision)
        )
        return row["source"] if row else None

    async def note_served(self, flows: Iterable[str]) -> None:
        """Note the full names of the flows in service; the same ones again cost nothing."""
        text = json.dumps(sorted(flows))

        def work(tx: Transaction) -> None:
            noted = tx.one("fact", fact=_SERVED)
            if noted is None or noted["value"] != text:
                tx.run("set_fact", fact=_SERVED, value=text)

        await self._database.write(work)

    async def latest_flows(self) -> list[tuple[str, str, str]]:
        """Give namespace, id and text, as of its latest revision, of every flow that was in service last."""

        def work(tx: Transaction) -> list[tuple[str, str, str]]:
            noted = tx.one("fact", fact=_SERVED)
            served = json.loads(noted["value"]) if noted else None
            found = [(row["namespace"], row["flow_id"], row["source"]) for row in tx.all("latest_flows")]
            return [flow for flow in found if served is None or f"{flow[0]}.{flow[1]}" in served]

        return await self._database.read(work)

    async def served(self, namespace: str, flow_id: str) -> int | None:
        """Give the revision of a flow that is in service; None if there is none."""

        def work(tx: Transaction) -> int | None:
            noted = tx.one("fact", fact=_SERVED)
            latest = tx.one("latest_flow", namespace=namespace, flow_id=flow_id)
            in_service = noted is None or f"{namespace}.{flow_id}" in json.loads(noted["value"])
            return int(latest["revision"]) if latest and in_service else None

        return await self._database.read(work)

    async def statuses(self) -> Mapping[str, TriggerStatus]:
        """The status of every trigger that was ever paused or in trouble."""
        rows = await self._database.read(lambda tx: tx.all("trigger_status"))
        return {
            row["trigger_key"]: TriggerStatus(
                row["trigger_key"], bool(row["paused"]), row["cause"], row["message"], row["hint"], row["since"]
            )
            for row in rows
        }

    async def pause(self, trigger: TriggerKey, *, paused: bool) -> None:
        """Stop or resume looking for new objects; what is in custody goes on. Survives restarts."""
        await self._database.write(lambda tx: tx.run("pause_trigger", trigger_key=str(trigger), paused=int(paused)))

    async def begin(self, trigger: TriggerKey) -> None:
        """Note that the first look of a trigger is over; only the first call counts."""
        await self._database.write(lambda tx: tx.run("begin_trigger", trigger_key=str(trigger), begun_at=now()))

    async def report(
        self, trigger: TriggerKey, cause: str | None, message: str | None = None, hint: str | None = None
    ) -> None:
        """Note that a trigger works (*cause* None) or what keeps it from working, since now."""
        await self._database.write(
            lambda tx: tx.run(
                "report_trigger", trigger_key=str(trigger), cause=cause, message=message, hint=hint, since=now()
            )
        )
