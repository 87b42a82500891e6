"""Flows of the corpus run for real: what they are given, and how they end."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workshop.builders import Intake, source

from tidewaiter.config.expression import Expressions
from tidewaiter.config.inputs import Input
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.records import Execution, ExecutionState, TaskRun, TriggerKey
from tidewaiter.daemon.scope import Host
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.situation import Workplace
from tidewaiter.daemon.storage import Storage, execution_folder
from tidewaiter.tasks.context import GitSettings, KeyValue, RunnerSettings
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.s3 import BucketTrigger

_CONTENT = "id,name\n1,a\n2,b\n"
_SAMPLES: Mapping[str, Any] = {
    "STRING": "sample", "INT": "1", "FLOAT": "1.5", "BOOLEAN": "true", "BOOL": "true", "DATE": "2026-01-31",
    "DATETIME": "2026-01-31T12:00:00Z", "TIME": "12:00:00", "DURATION": "PT1S", "JSON": "{}", "YAML": "a: 1",
    "URI": "https://files.example/a", "SECRET": "sample-secret", "ARRAY": "[]", "EMAIL": "a@b.example",
}  # fmt: skip
_QUOTED = r"\(\s*\\?['\"]([^'\"\\]+)"


@dataclass(frozen=True)
class Ending:
    """How a flow ended: its execution, its task runs by attempt, and what its log says."""

    execution: Execution
    runs: list[TaskRun]
    log: list[str]


@dataclass(frozen=True)
class Trial:
    """A flow to be run: its *text*, the flows it may start by name, inputs it is to have, and how long it may take."""

    text: str
    siblings: Mapping[str, str]
    inputs: Mapping[str, Any]
    seconds: float


async def run(trial: Trial, folder: Path) -> Ending:
    """Run a flow in *folder*, on samples of whatever it asks for."""
    text = trial.text
    expressions = Expressions()
    flow = parse_flow(text, "flow", expressions)
    async with database_at(folder / "tidewaiter.db") as database, Clients({}, timedelta(seconds=5)) as clients:
        journal = await Journal.over(database)
        place = _place(folder, journal, expressions, _host(text, journal), clients)
        place.storage.open()
        for name in re.findall(r"kv" + _QUOTED, text):
            await journal.kv.set(flow.namespace, name, KeyValue("sample"))
        revision = await journal.triggers.register(flow.namespace, flow.id, text)
        for name, other in trial.siblings.items():
            namespace, _, flow_id = name.rpartition(".")
            await journal.triggers.register(namespace, flow_id, other)
        execution = await _arrive(flow, revision, place, trial.inputs)
        return await _carried_out(execution, place, trial.seconds)


def _host(text: str, journal: Journal) -> Host:
    names = re.findall(r"secret" + _QUOTED, text)
    secrets = {name.upper(): "eu-west-1" if "REGION" in name.upper() else f"secret-{name}" for name in names}
    return Host(Secrets(secrets), {}, kv=journal.kv)


def _place(folder: Path, journal: Journal, expressions: Expressions, host: Host, clients: Clients) -> Workplace:
    return Workplace(
        journal=journal,
        storage=Storage(folder / "storage"),
        expressions=expressions,
        host=host,
        work=folder / "work",
        cache=folder / "cache",
        runners=RunnerSettings(docker="process", kill_grace_seconds=1.0),
        git=GitSettings(),
        stores=clients.plain,
    )


async def _arrive(flow: AnyFlow, revision: int, place: Workplace, given: Mapping[str, Any]) -> Execution:
    """Start the flow as its first trigger would, or else by hand with an input of each kind it needs."""
    trigger = flow.triggers[0] if flow.triggers else None
    key = TriggerKey(flow.namespace, flow.id, trigger.id if trigger else "by-hand")
    if isinstance(trigger, BucketTrigger):
        intake = Intake(place.journal, source("NONE", trigger=key, revision=revision))
        [detection] = await intake.claim("raw/sample.csv")
        final = place.storage.object_path(key, detection)
        final.parent.mkdir(parents=True)
        final.write_text(_CONTENT)
        await intake.store(detection, place.storage.uri(final))
        return await intake.execution(detection)
    order = Launch(key, trigger.type if trigger else "", revision, variables=_variables() if trigger else None)
    execution = await place.journal.executions.create(order)
    samples = {spec.id: value for spec in flow.inputs if (value := _sample(spec, execution, place)) is not None}
    inputs = {**samples, **given}
    await place.journal.executions.note(execution.id, inputs, {})
    return await place.journal.executions.get(execution.id) or execution


def _variables() -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"date": now, "next": now, "previous": now, "body": {}, "headers": {}, "parameters": {}}


def _sample(spec: Input, execution: Execution, place: Workplace) -> Any:
    if spec.defaults is not None:
        return None
    if spec.type == "FILE":
        folder = execution_folder(execution.namespace, execution.flow_id, execution.id)
        file = place.storage.root / folder / "inputs" / f"{spec.id}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_CONTENT)
        return place.storage.uri(file)
    if spec.type in {"ENUM", "SELECT"}:
        return spec.choices[0] if spec.choices else "sample"
    if spec.type == "MULTISELECT":
        return list(spec.choices[:1])
    return _SAMPLES[spec.type]


async def _carried_out(execution: Execution, place: Workplace, seconds: float) -> Ending:
    due = asyncio.Event()
    executor = Executor(place, 8, wake=due.set, on_end=lambda _: due.set(), crashed=lambda _: due.set())
    place.signals.launched = due.set
    deadline = asyncio.get_running_loop().time() + seconds
    current = execution
    while asyncio.get_running_loop().time() < deadline:
        due.clear()
        await executor.step()
        current = await place.journal.executions.get(execution.id) or execution
        if current.state.ended and not current.after_pending:
            break
        if current.state is ExecutionState.PAUSED and current.resume_at is None:
            break
        try:
            await asyncio.wait_for(due.wait(), 0.2)
        except TimeoutError:
            continue
    await executor.drain(timedelta(0))
    await place.journal.logs.flush()
    lines = [line.message for _, line in await place.journal.logs.of(execution.id)]
    runs = await place.journal.executions.task_runs(execution.id)
    await asyncio.to_thread(shutil.rmtree, place.work, ignore_errors=True)
    return Ending(current, runs, lines)
