"""``tidewaiter test``: a flow on local files, with everything real but the bucket."""

import argparse
import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.settings import Settings
from tidewaiter.config.spec import Template
from tidewaiter.daemon import views
from tidewaiter.daemon.app import make_host, workplace
from tidewaiter.daemon.cli.executions import inputs_of, report, save
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import log_line as log_text
from tidewaiter.daemon.cli.terminal import note, say, say_json
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.flows import AnyFlow, FlowFile, load_flows, read_flow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival, Claim, Source
from tidewaiter.daemon.logs import set_up
from tidewaiter.daemon.records import Detection, Execution, ExecutionState, TriggerKey
from tidewaiter.daemon.situation import Workplace
from tidewaiter.tasks.tree import ForEachItem, Subflow
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.keynames import KeyNames
from tidewaiter.triggers.s3 import BucketTrigger

_LOOK_SECONDS = 0.1


def run(options: argparse.Namespace) -> int:
    """Run a flow on local files and report."""
    settings = settings_from(options)
    expressions = Expressions()
    file = read_flow(options.flow, expressions)
    trigger = _trigger(file, options)
    objects = _objects(options.object, options.key, trigger) if trigger else []
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="tidewaiter-test-") as folder:
        settings = settings.model_copy(update={"state_dir": Path(folder)})
        host = make_host(settings, os.environ)
        set_up("console", "critical", host.secrets.mask)
        return asyncio.run(_Trial(settings, file, trigger, options).carry_out(objects, expressions, host))


def _trigger(file: FlowFile, options: argparse.Namespace) -> BucketTrigger | None:
    """Give the trigger to act as; None for a flow without one, which can still be run without objects."""
    triggers = [trigger for trigger in file.flow.triggers if options.trigger in {None, trigger.id}]
    if triggers:
        return triggers[0]
    if options.object or options.trigger:
        what = f"has no trigger '{options.trigger}'" if options.trigger else "has no trigger for an object to arrive at"
        known = ", ".join(trigger.id for trigger in file.flow.triggers) or "none"
        raise ConfigError([Problem(str(file.path), 0, 0, f"flow '{file.flow.id}' {what}", f"its triggers: {known}")])
    return None


def _objects(files: Sequence[Path], keys: Sequence[str], trigger: BucketTrigger) -> list[tuple[Path, S3Object]]:
    """Pair each file with the object it stands for: the key given for it, or the trigger's prefix and its name."""
    prefix = trigger.prefix if isinstance(trigger.prefix, str) else ""
    bucket = trigger.bucket if isinstance(trigger.bucket, str) else "test"
    pairs = []
    for at, file in enumerate(files):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigError(
                [Problem(str(file), 0, 0, f"the object's file cannot be read: {error.strerror}")]
            ) from error
        key = keys[at] if at < len(keys) else f"{prefix}{file.name}"
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        pairs.append((file, S3Object(bucket, key, etag, len(content), changed)))
    if len({item.key for _, item in pairs}) < len(pairs):
        raise ConfigError([Problem("--object", 0, 0, "two objects have the same key", "give each its own with --key")])
    return pairs


def _captures(trigger: BucketTrigger, key: str) -> Mapping[str, str]:
    """Give the named parts of *key* that the flow's tasks will see; of a rule with an expression nothing is known."""
    known = trigger.model_copy(update={"regexp": None}) if isinstance(trigger.regexp, Template) else trigger
    return KeyNames.of(known, "").captures(key)


def _all_tasks(flow: AnyFlow) -> Iterator[TaskSpec]:
    waiting = [*flow.tasks, *flow.errors, *flow.finally_, *flow.after_execution]
    while waiting:
        task = waiting.pop()
        waiting += task.children()
        yield task


class _Trial:
    """One execution in a state directory of its own."""

    def __init__(
        self, settings: Settings, file: FlowFile, trigger: BucketTrigger | None, options: argparse.Namespace
    ) -> None:
        self._settings = settings
        self._file = file
        self._trigger = trigger
        self._options = options

    async def carry_out(self, objects: list[tuple[Path, S3Object]], expressions: Expressions, host: Any) -> int:
        clients = Clients(os.environ, self._settings.retry.read_timeout)
        async with database_at(self._settings.state_dir / "tidewaiter.db") as database, clients:
            journal = await Journal.over(database)
            place = workplace(self._settings, journal, host, expressions, clients.plain)
            place.storage.open()
            execution = await self._arrive(objects, place)
            state = await self._follow(execution, place)
            details = await views.execution_details(journal, await journal.executions.get(execution.id) or execution)
            self._tell(details)
            return 0 if state in {"SUCCESS", "WARNING"} else 1

    async def _arrive(self, objects: list[tuple[Path, S3Object]], place: Workplace) -> Execution:
        """Take the files into custody as if they had been read from a bucket with ``action: NONE``."""
        flow, journal = self._file.flow, place.journal
        revision = await journal.triggers.register(flow.namespace, flow.id, self._file.source)
        await self._register_subflows(journal)
        key = TriggerKey(flow.namespace, flow.id, self._trigger.id if self._trigger else "by-hand")
        if self._trigger is None or not objects:
            return await journal.executions.by_hand(key, revision, inputs_of(self._options.input))
        source = Source(key, self._trigger.type, revision, "NONE")
        claims = [Claim(Arrival(item, "CREATE"), captures=_captures(self._trigger, item.key)) for _, item in objects]
        detections = await journal.detections.claim(source, [claims])
        for (file, item), detection in zip(objects, detections, strict=True):
            await self._store(source, detection, file, item, place)
        return (await journal.executions.newest(limit=1))[0]

    async def _register_subflows(self, journal: Journal) -> None:
        """Let the flow start the flows beside it, if it starts any."""
        if not any(isinstance(task, Subflow | ForEachItem) for task in _all_tasks(self._file.flow)):
            return
        others = load_flows(self._options.flows or [self._options.flow.parent], Expressions())
        for file in others.flows.values():
            if file.flow.path != self._file.flow.path:
                await journal.triggers.register(file.flow.namespace, file.flow.id, file.source)

    async def _store(self, source: Source, detection: Detection, file: Path, item: S3Object, place: Workplace) -> None:
        final = place.storage.object_path(source.trigger, detection)
        temporary = final.with_name("data.tmp")
        temporary.parent.mkdir(parents=True)
        shutil.copyfile(file, temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        uri = await place.storage.keep(temporary, final, {"key": item.key})
        await place.journal.detections.stored(source, detection, uri=uri, sha256=digest, version_id=None)

    async def _follow(self, execution: Execution, place: Workplace) -> str:
        """Run it, and the subflows it starts, to the end, printing log lines as they come."""
        due = asyncio.Event()
        crashes: list[BaseException] = []
        limit = self._settings.limits.executions
        executor = Executor(place, limit, wake=due.set, on_end=lambda _: due.set(), crashed=crashes.append)
        place.signals.launched = due.set
        after = 0
        while True:
            due.clear()
            await executor.step()
            with suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), _LOOK_SECONDS)
            current = await place.journal.executions.get(execution.id) or execution
            ended = (current.state.ended and not current.after_pending) or current.state is ExecutionState.PAUSED
            if crashes:
                raise crashes[0]
            after = await self._print_log(execution, place, after)
            if ended and not (current.state is ExecutionState.PAUSED and executor.running):
                await executor.drain(timedelta(0))
                return current.state.value

    async def _print_log(self, execution: Execution, place: Workplace, after: int) -> int:
        await place.journal.logs.flush()
        for number, line in await place.journal.logs.of(execution.id, after=after):
            after = number
            if not self._options.json:
                say(log_text(views.log_line(number, line)))
        return after

    def _tell(self, details: dict[str, Any]) -> None:
        files = views.stored_files(details["taskRuns"], details["outputs"])
        if self._options.json:
            say_json(details)
        else:
            say("")
            report(details)
        if self._options.output:
            note(f"{save(self._settings, files, self._options.output)} files copied to {self._options.output}")
