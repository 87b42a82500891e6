"""The triggers in service: kept in step with the flow files, each with an intake and a loop of its own."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog

from tidewaiter.config.errors import ConfigError, Problem, TidewaiterError
from tidewaiter.daemon.duty import AnyDuty, Duty
from tidewaiter.daemon.facts import facts
from tidewaiter.daemon.flows import AnyFlow, FlowFile, FlowSet, bucket_triggers, changed, load_flows, parse_flow
from tidewaiter.daemon.intake import Intake
from tidewaiter.daemon.loop import Loop, Step
from tidewaiter.daemon.operations import Facts
from tidewaiter.daemon.records import TriggerKey, now
from tidewaiter.daemon.routing import Routing
from tidewaiter.daemon.scope import rendered_trigger
from tidewaiter.daemon.watch import Port, Watch, rules_of
from tidewaiter.triggers.s3 import BucketTrigger

_log = structlog.get_logger("tidewaiter.intakes")
_REJECTED = "FlowRejected"
_KEPT = "; the flow as it was before stays in service"


class Others(Protocol):
    """Serves triggers that watch no bucket."""

    async def __call__(self, duties: Sequence[AnyDuty], *, complete: bool) -> None:
        """Serve *duties* from now on; they are *complete* unless a flow file is wrong."""


@dataclass(frozen=True, slots=True)
class _Served:
    intake: Intake
    loop: Loop

    async def stop(self) -> None:
        """End at once: whatever is in hand goes on from its record."""
        await self.loop.stop(at_once=True)
        await self.intake.stop()


@dataclass(slots=True)
class Intakes:
    """
    Serves the triggers of the flows in *paths*: those that watch buckets itself, *others* is given the rest. *launched*
    is told when executions may be ready; *make_loop* makes the loop of that name around a step.
    """

    paths: Sequence[Path]
    port: Port
    launched: Callable[[], None]
    make_loop: Callable[[str, Step], Loop]
    interval: timedelta
    others: Others
    flows: FlowSet = field(default_factory=FlowSet)
    _served: dict[TriggerKey, _Served] = field(default_factory=dict)
    _rejected: Mapping[Problem, str] = field(default_factory=dict)
    _stopped: bool = False

    async def step(self) -> timedelta | None:
        """Look whether flow files came, went or changed, and serve what they define now."""
        if await asyncio.to_thread(changed, self.paths, self.flows):
            await self.load()
        return self.interval

    async def load(self) -> None:
        """
        Read the flow files and serve their triggers. A file that is wrong keeps the flow it had, and is reported once.

        Raises:
            ConfigError: at the first time, one of the paths does not exist.
        """
        if self._stopped:
            return
        before = self.flows
        try:
            flows = await asyncio.to_thread(load_flows, self.paths, self.port.expressions, before, self._rendered)
        except ConfigError as error:
            if not before.signatures:
                raise
            self._report(error.problems)
            return
        self._report(flows.problems)
        duties = [duty for file in flows.flows.values() for duty in await self._duties(file)]
        watches = {duty.key: watch for duty in duties if (watch := _watch(duty))}
        await self._retire(watches.keys())
        await self._finish(watches.keys())
        for key, watch in watches.items():
            self._serve(key, watch)
        await self.port.journal.triggers.order_stops({duty.key: duty.spec.stop_after for duty in duties})
        rest = [duty for duty in duties if duty.key not in watches]
        await self.others(rest, complete=not flows.problems)
        await self.port.journal.triggers.note_served(flows.flows)
        # Not before they are served: what a failing journal kept from it is a change at the next look, too.
        self.flows = flows
        _tell_changes(before.flows, flows.flows)

    async def stop(self) -> None:
        """End every intake. Safe to call twice."""
        self._stopped = True
        for served in list(self._served.values()):
            await served.stop()

    def poll(self, key: TriggerKey) -> bool:
        """Make a trigger look now; False if it is not served."""
        served = self._served.get(key)
        if served is not None:
            served.intake.poll_now()
        return served is not None

    def room(self, key: TriggerKey) -> None:
        """Tell a trigger that one of its executions ended."""
        served = self._served.get(key)
        if served is not None and served.intake.waiting:
            served.intake.poll_now()

    async def routing(self, key: TriggerKey, revision: int) -> Routing:
        """
        Make what routes objects of a trigger: as it is served now, so that an edit of its flow counts, else as it was.

        Raises:
            TidewaiterError: there is no such trigger, or its expressions fail.
        """
        served = self._served.get(key)
        watch = served.intake.watch if served else await self._former(key, revision)
        if watch is None:
            raise TidewaiterError(f"trigger '{key}' is not in the journal", "give its flow back to the folder of flows")
        port = self.port
        spec = rendered_trigger(watch.flow, watch.revision, watch.spec, port.host, port.expressions)
        return Routing(rules_of(spec, watch, port), port.journal, port.storage, port.connect, port.probes)

    async def facts(self) -> Facts:
        """Give what is known of each trigger."""
        files = {name: str(file.path) for name, file in self.flows.flows.items()}
        return {
            key: {**facts(served.intake), "problem": self._rejection(files.get(key.flow_path, ""), _KEPT)}
            for key, served in self._served.items()
        }

    def watches(self) -> dict[TriggerKey, Watch]:
        """Give every trigger that looks for objects."""
        return {key: served.intake.watch for key, served in self._served.items() if served.intake.watch.looking}

    def moving(self) -> list[BucketTrigger]:
        """Give the triggers in service that move objects; not those whose expressions fail, which say so themselves."""
        specs = []
        for served in self._served.values():
            with suppress(TidewaiterError):
                specs.append(served.intake.rendered())
        return [spec for spec in specs if spec.destinations]

    @property
    def keys(self) -> list[TriggerKey]:
        """The triggers in service."""
        return list(self._served)

    @property
    def working(self) -> list[TriggerKey]:
        """The triggers in service that nothing keeps from working."""
        return [key for key, served in self._served.items() if not served.intake.troubled]

    @property
    def settled(self) -> bool:
        """Whether every trigger has looked and has nothing left to do."""
        return all(served.intake.settled for served in self._served.values())

    @property
    def troubled(self) -> bool:
        """Whether a flow file is wrong or something keeps a trigger from working."""
        return bool(self.flows.problems) or any(served.intake.troubled for served in self._served.values())

    def rejected(self) -> Mapping[str, Mapping[str, Any]]:
        """Give the problem of each flow file that is wrong and has nothing in service, by its path."""
        serving = {str(file.path) for file in self.flows.flows.values()}
        files = dict.fromkeys(problem.file for problem in self._rejected)
        found = {file: self._rejection(file) for file in files if file not in serving}
        return {file: problem for file, problem in found.items() if problem}

    def _rejection(self, file: str, note: str = "") -> Mapping[str, Any] | None:
        """Give the first thing that is wrong with a flow file, as trouble of its triggers."""
        problem = next((problem for problem in self._rejected if problem.file == file), None)
        if problem is None:
            return None
        where = f"{file}:{problem.line}:{problem.column}" if problem.line else file
        message = f"{where}: {problem.message}{note}"
        return {"cause": _REJECTED, "message": message, "hint": problem.hint, "since": self._rejected[problem]}

    def _report(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self._rejected:
                where = {"file": problem.file, "line": problem.line, "column": problem.column}
                _log.error("flow_rejected", **where, error=problem.message, hint=problem.hint)
        self._rejected = {problem: self._rejected.get(problem) or now() for problem in problems}

    def _rendered(self, flow: AnyFlow, trigger: BucketTrigger) -> BucketTrigger:
        """
        Render what can be rendered now, to compare it with other triggers; what cannot is the trigger's own trouble.
        """
        try:
            return rendered_trigger(flow, flow.revision or 1, trigger, self.port.host, self.port.expressions)
        except TidewaiterError:
            return trigger

    async def _duties(self, file: FlowFile) -> list[AnyDuty]:
        """Give the triggers of a flow that are to be served."""
        flow = file.flow
        revision = await self.port.journal.triggers.register(flow.namespace, flow.id, file.source)
        triggers = [trigger for trigger in flow.triggers if not (flow.disabled or trigger.disabled)]
        return [Duty(TriggerKey(flow.namespace, flow.id, trigger.id), flow, revision, trigger) for trigger in triggers]

    async def _retire(self, wanted: Collection[TriggerKey]) -> None:
        """Stop the triggers that are not *wanted* any more; first of all they claim nothing new."""
        for key in [key for key, served in self._served.items() if key not in wanted and served.intake.watch.looking]:
            await self._served.pop(key).stop()

    async def _finish(self, wanted: Collection[TriggerKey]) -> None:
        """See the claims of triggers that are no longer *wanted* to their end, as the flow was when they were made."""
        for key, revision in (await self.port.journal.detections.live_triggers()).items():
            if key in wanted or key in self._served:
                continue
            try:
                watch = await self._former(key, revision)
            except ConfigError as error:
                # Written for another version of ours: its claims wait, the other triggers need not.
                _log.error("claims_left", trigger=str(key), error=error.message)
                continue
            if watch is not None:
                self._serve(key, watch)

    async def _former(self, key: TriggerKey, revision: int) -> Watch | None:
        """Give a trigger as it was at *revision* of its flow; None if the journal does not know it."""
        source = await self.port.journal.triggers.source(key.namespace, key.flow_id, revision)
        if source is None:
            return None
        flow = parse_flow(source, f"{key.flow_path} (revision {revision})", self.port.expressions)
        spec = next((trigger for trigger in bucket_triggers(flow) if trigger.id == key.trigger_id), None)
        return Watch(key, flow, revision, spec, looking=False) if spec else None

    def _serve(self, key: TriggerKey, watch: Watch) -> None:
        """Serve a trigger, or tell its intake what has changed; a new or changed one looks at once (kestra.md Q12)."""
        served = self._served.get(key)
        if served is None:
            intake = Intake(watch, self.port, self.launched)
            served = self._served[key] = _Served(intake, self.make_loop(str(key), intake.step))
            intake.wake = served.loop.wake
            served.loop.start()
        elif served.intake.watch != watch:
            served.intake.watch = watch
            served.intake.poll_now()


def _watch(duty: AnyDuty) -> Watch | None:
    """Give what an intake serves; None for a trigger that watches no bucket."""
    if not isinstance(duty.spec, BucketTrigger):
        return None
    return Watch(duty.key, duty.flow, duty.revision, duty.spec)


def _tell_changes(before: Mapping[str, FlowFile], after: Mapping[str, FlowFile]) -> None:
    """Log each flow that is served anew, changed, or not served any more."""
    for name, file in after.items():
        if name not in before:
            _log.info("flow_loaded", flow=name, file=str(file.path))
        elif before[name].source != file.source:
            _log.info("flow_changed", flow=name, file=str(file.path))
    for name in before.keys() - after.keys():
        _log.info("flow_removed", flow=name, file=str(before[name].path))
