"""Builders for daemon tests: objects to claim without a bucket, and flows to run for real."""

import asyncio
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival, Claim, Listed, Source
from tidewaiter.daemon.records import Detection, Execution, TaskRun, TriggerKey
from tidewaiter.daemon.run import Run
from tidewaiter.daemon.situation import Workplace
from tidewaiter.triggers.bucket import S3Object

BUCKET = "harbour"
TRIGGER = TriggerKey("demo", "orders", "arrival")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until *condition*, plain or asynchronous, gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(f"nothing came of {condition} in {seconds} s")


def item(key: str, etag: str = "e1", *, minutes: int = 0, size: int = 3) -> S3Object:
    """An object as a listing shows it, changed some minutes after noon."""
    return S3Object(BUCKET, key, etag, size, NOON + timedelta(minutes=minutes))


def source(action: str = "DELETE", *, trigger: TriggerKey = TRIGGER, revision: int = 1) -> Source:
    return Source(trigger, "io.kestra.plugin.aws.s3.Trigger", revision, action)


def listed(*objects: S3Object, first: str = "", last: str | None = None) -> Listed:
    return Listed(BUCKET, objects, first, last, lambda _key: True)


@dataclass
class Intake:
    """Takes objects into the journal without a bucket, step by step."""

    journal: Journal
    source: Source = field(default_factory=source)

    async def claim(self, *keys: str, batch: int = 1) -> list[Detection]:
        """Claim new objects with these keys, *batch* for each execution."""
        claims = [Claim(Arrival(item(key), "CREATE")) for key in keys]
        batches = [claims[at : at + batch] for at in range(0, len(claims), batch)]
        return await self.journal.detections.claim(self.source, batches)

    async def store(self, detection: Detection, uri: str = "kestra:///x") -> bool:
        detections = self.journal.detections
        return await detections.stored(self.source, detection, uri=uri, sha256="s", version_id=None)

    async def deliver(self, key: str) -> Execution:
        """Claim, store and let go one object; gives its execution."""
        [detection] = await self.claim(key)
        await self.store(detection)
        await self.journal.detections.done(detection, removed=True)
        return await self.execution(detection)

    async def execution(self, detection: Detection) -> Execution:
        found = await self.journal.executions.get(detection.execution_id)
        assert found is not None
        return found

    async def now(self, detection: Detection) -> Detection:
        """The detection as the journal has it now."""
        found = await self.journal.detections.get(detection.id)
        assert found is not None
        return found


@dataclass
class Workshop:
    """Runs flows for real, on objects that arrived without a bucket."""

    place: Workplace
    folder: Path
    flows: dict[str, AnyFlow] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return self.place.journal

    async def execution(
        self, body: str, *, content: str = "a;b\n", flow_id: str = "orders", key: str = "raw/a.csv"
    ) -> Execution:
        """Register a flow, given by its YAML but for id and namespace, and let an object arrive for it."""
        text = f"id: {flow_id}\nnamespace: demo\n" + textwrap.dedent(body)
        self.flows[flow_id] = parse_flow(text, f"{flow_id}.yaml", self.place.expressions)
        trigger = TriggerKey("demo", flow_id, "arrival")
        revision = await self.journal.triggers.register("demo", flow_id, text)
        intake = Intake(self.journal, source("NONE", trigger=trigger, revision=revision))
        [detection] = await intake.claim(key)
        final = self.place.storage.object_path(trigger, detection)
        final.parent.mkdir(parents=True)
        final.write_text(content)
        await intake.store(detection, self.place.storage.uri(final))
        return await intake.execution(detection)

    async def run(self, execution: Execution) -> Execution:
        """Start and carry out *execution*; gives it as it ended."""
        await self.journal.executions.start(execution)
        await (await self.prepared(execution)).carry_out()
        return await self.state(execution)

    async def prepared(self, execution: Execution) -> Run:
        objects = await self.journal.detections.batch(execution.batch_id)
        return Run(await self.state(execution), self.flows[execution.flow_id], objects, self.place)

    async def do(self, body: str, **given: str) -> Execution:
        """Run a flow on an object, start to end."""
        return await self.run(await self.execution(body, **given))

    async def state(self, execution: Execution) -> Execution:
        found = await self.journal.executions.get(execution.id)
        assert found is not None
        return found

    async def task_runs(self, execution: Execution) -> dict[str, TaskRun]:
        """The latest attempt at each task, by path."""
        return {run.task_path: run for run in await self.journal.executions.task_runs(execution.id)}

    async def log(self, execution: Execution) -> list[str]:
        return [line.message for _, line in await self.journal.logs.of(execution.id)]

    def executor(self, limit: int = 4) -> Executor:
        return Executor(
            place=self.place,
            limit=limit,
            wake=lambda: None,
            on_end=lambda execution: self.ended.append(execution.id),
            crashed=self.crashes.append,
        )
