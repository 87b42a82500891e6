"""The composition root: makes every part, starts them in order, stops them in reverse."""

import asyncio
import os
import signal
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from tidewaiter.config.expression import Expressions
from tidewaiter.config.settings import Settings
from tidewaiter.daemon import systemd
from tidewaiter.daemon.clock import Clock
from tidewaiter.daemon.control import Control
from tidewaiter.daemon.coretriggers import CoreTriggers
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.intakes import Intakes
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.loop import Loop, Step
from tidewaiter.daemon.operations import Facts, Operations
from tidewaiter.daemon.orphans import Orphans
from tidewaiter.daemon.preview import Preview
from tidewaiter.daemon.probes import Probes
from tidewaiter.daemon.records import Execution, TriggerKey
from tidewaiter.daemon.retention import Retention
from tidewaiter.daemon.router import Router
from tidewaiter.daemon.scope import Host, environment_variables
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.situation import Workplace
from tidewaiter.daemon.starter import Starter
from tidewaiter.daemon.storage import Storage, witness_of
from tidewaiter.daemon.watch import Port
from tidewaiter.daemon.web.server import control_socket, public
from tidewaiter.daemon.web.webhook import WebhookRoutes
from tidewaiter.tasks.context import GitSettings, RunnerSettings
from tidewaiter.tasks.objectstore import ObjectStores
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Connect

_log = structlog.get_logger("tidewaiter.app")

_LOG_DELAY = timedelta(milliseconds=250)
_LOOK_SECONDS = 0.05
_PATIENT_SIGNALS = 2


def workplace(
    settings: Settings, journal: Journal, host: Host, expressions: Expressions, stores: ObjectStores
) -> Workplace:
    """Make what tasks work with from the operator's settings."""
    state = settings.state_dir.absolute()
    return Workplace(
        journal=journal,
        storage=Storage(state / "storage"),
        expressions=expressions,
        host=replace(host, kv=journal.kv),
        work=state / "work",
        cache=state / "cache",
        runners=RunnerSettings(
            settings.runners.docker, settings.runners.environment, settings.runners.kill_grace.total_seconds()
        ),
        git=GitSettings(settings.git.allowed_protocols, settings.git.config_file),
        stores=stores,
        retry=settings.retry,
        log_lines=settings.limits.log_lines,
    )


def make_host(settings: Settings, environment: MutableMapping[str, str]) -> Host:
    """Take secrets and ``envs`` from *environment*; the secrets are removed from it."""
    folders = [folder for folder in (settings.secrets.directory, systemd.credentials_folder(environment)) if folder]
    secrets, envs = Secrets.take(environment, folders), environment_variables(environment)
    recursive = settings.recursive_rendering
    return Host(secrets, envs, settings.namespace_files, globals=settings.globals, recursive=recursive)


@dataclass
class App:
    """One daemon. `run` it once."""

    settings: Settings
    host: Host
    expressions: Expressions
    _journal: Journal = field(init=False)
    _clock: Clock = field(init=False)
    _executor: Executor = field(init=False)
    _executor_loop: Loop = field(init=False)
    _intakes: Intakes = field(init=False)
    _core: CoreTriggers = field(init=False)
    _router: Router = field(init=False)
    _router_loop: Loop = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _signals: int = 0
    _crash: BaseException | None = None

    async def run(self, *, once: bool = False) -> int:
        """
        Run until a signal, or with *once* until everything that has arrived is done. Gives the exit code: 0; with
        *once* 1 if an execution failed or a trigger could not look; 130 after a second signal.

        Raises:
            TidewaiterError: the daemon cannot start.
        """
        async with AsyncExitStack() as stack:
            self._watch_signals(stack)
            await self._start(stack)
            systemd.notify(os.environ, "READY=1")
            code = await self._until_done() if once else 0
            if not once:
                await self._stop.wait()
            systemd.notify(os.environ, "STOPPING=1")
            code = await self._drain() or code
        if self._crash is not None:
            raise self._crash
        return code

    async def _start(self, stack: AsyncExitStack) -> None:
        """Open and start everything, in order of dependency; *stack* stops it in reverse."""
        settings = self.settings
        state = settings.state_dir
        database = await stack.enter_async_context(database_at(state / "tidewaiter.db", witness_of(state / "storage")))
        self._journal = await Journal.over(database)
        clients = await stack.enter_async_context(Clients(os.environ, settings.retry.read_timeout))
        place = workplace(settings, self._journal, self.host, self.expressions, clients.plain)
        place.storage.open()
        self._clock = await stack.enter_async_context(Clock())
        await self._start_executor(stack, place)
        port = self._port(place, clients)
        self._make_core(place)
        await self._start_intakes(stack, port)
        self._start_core(stack)
        self._start_retention(stack, place)
        self._start_orphans(stack, clients)
        intakes = self._intakes
        control = Control(
            self._journal, self._executor_loop.wake, self._poll, self._router_loop.wake, place.signals.tell
        )
        preview = Preview(port, intakes.watches)
        operations = Operations(
            self._journal, control, self._facts, daemon=True, rejected=intakes.rejected, preview=preview
        )
        await stack.enter_async_context(control_socket(settings.state_dir / "control.sock", operations))
        if settings.listen:
            routes = WebhookRoutes(self._core.webhooks, settings.limits.webhooks).routes()
            body = settings.limits.webhook_body
            await stack.enter_async_context(public(settings.listen, self._ready, routes, body))
        flows, triggers = len(intakes.flows.flows), len(intakes.keys) + len(self._core.keys)
        _log.info("ready", flows=flows, triggers=triggers, state_dir=str(settings.state_dir))

    async def _start_executor(self, stack: AsyncExitStack, place: Workplace) -> None:
        self._executor_loop = self._loop("executor", self._execute)
        self._executor = Executor(
            place=place,
            limit=self.settings.limits.executions,
            wake=self._executor_loop.wake,
            on_end=self._ended,
            crashed=self._crashed,
        )
        place.signals.launched = self._executor_loop.wake
        # Before the first step: what it starts must not be taken for the leftovers of a crash.
        if recovered := await self._executor.recover():
            _log.warning("executions_recovered", executions=recovered)
        await self._executor.sweep()
        logs = self._loop("logs", self._flush_logs)
        self._journal.logs.notify = lambda: self._clock.alarm("logs")(_LOG_DELAY, logs.wake)
        for loop in (logs, self._executor_loop):
            loop.start()
            stack.push_async_callback(loop.stop)

    async def _start_intakes(self, stack: AsyncExitStack, port: Port) -> None:
        settings = self.settings
        self._intakes = Intakes(
            settings.flows, port, self._launched, self._loop, settings.reload_interval, self._core.serve
        )
        self._router_loop = self._loop("routes", self._route)
        self._router = Router(
            journal=self._journal,
            routing=self._intakes.routing,
            limit=settings.limits.transfers,
            retry=settings.retry,
            wake=self._router_loop.wake,
            freed=self._intakes.poll,
            crashed=self._crashed,
        )
        stack.push_async_callback(self._intakes.stop)
        await self._intakes.load()
        self._router_loop.start()
        stack.push_async_callback(self._router.stop)
        stack.push_async_callback(self._router_loop.stop)
        reload_loop = self._loop("flows", self._intakes.step)
        reload_loop.start()
        stack.push_async_callback(reload_loop.stop)

    def _make_core(self, place: Workplace) -> None:
        starter = Starter(self.host, self.expressions)
        self._core = CoreTriggers(place.journal, starter, self._launched, listening=bool(self.settings.listen))

    def _start_core(self, stack: AsyncExitStack) -> None:
        """Begin with what came due, or ended, before; there must be somebody to tell, so not before flows are read."""
        for loop in self._core.loops(self._loop):
            loop.start()
            stack.push_async_callback(loop.stop)

    def _start_retention(self, stack: AsyncExitStack, place: Workplace) -> None:
        limits = self.settings.retention
        retention = Retention(self._journal, place.storage, limits.succeeded, limits.failed)
        loop = self._loop("retention", retention.step)
        loop.start()
        stack.push_async_callback(loop.stop)

    def _start_orphans(self, stack: AsyncExitStack, connect: Connect) -> None:
        orphans = Orphans(self._journal, connect, self._intakes.moving)
        loop = self._loop("orphans", orphans.step)
        loop.start()
        # A store that does not answer must not keep the daemon from stopping.
        stack.push_async_callback(loop.stop, at_once=True)

    def _port(self, place: Workplace, connect: Connect) -> Port:
        return Port(
            journal=self._journal,
            storage=place.storage,
            expressions=self.expressions,
            host=place.host,
            connect=connect,
            probes=Probes(self.settings.scratch_prefix),
            transfers=self.settings.limits.transfers,
            retry=self.settings.retry,
            crashed=self._crashed,
        )

    def _loop(self, name: str, step: Step) -> Loop:
        retry = self.settings.retry
        alarm = self._clock.alarm(name)
        return Loop(name, step, alarm, crashed=self._crashed, backoff=retry.initial, maximum=retry.maximum)

    def _launched(self) -> None:
        """Executions may be ready, or objects whose action is done now may go on."""
        self._executor_loop.wake()
        self._router_loop.wake()

    def _ended(self, execution: Execution) -> None:
        """There is room for another execution of its trigger, and its objects may have somewhere to go."""
        self._intakes.room(TriggerKey.parse(execution.trigger))
        self._router_loop.wake()
        self._core.ended(execution)

    def _poll(self, key: TriggerKey) -> bool:
        """Make a trigger look now, or go on; False if it is none that looks."""
        self._core.wake(key)
        return self._intakes.poll(key)

    async def _facts(self) -> Facts:
        """Give what is known of each trigger."""
        return {**await self._intakes.facts(), **self._core.facts()}

    def _crashed(self, error: BaseException) -> None:
        """An error nobody foresaw: stop in order, then end with it, so that the service manager starts afresh."""
        _log.critical("crashed", exc_info=error)
        self._crash = self._crash or error
        self._stop.set()

    def _watch_signals(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
            stack.callback(loop.remove_signal_handler, number)

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals > _PATIENT_SIGNALS:
            os._exit(130)
        _log.info("stopping", grace_seconds=self.settings.grace_period.total_seconds() if self._signals == 1 else 0)
        self._stop.set()

    async def _drain(self) -> int:
        """
        First signal: claim nothing more and let executions end within the grace period; the second ends the waiting.
        """
        await self._intakes.stop()
        waiting = asyncio.create_task(self._executor.drain(self.settings.grace_period))
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
            if self._signals > 1 and not waiting.done():
                await self._executor.drain(timedelta(0))
        await self._journal.logs.flush()
        return 130 if self._signals > 1 else 0

    async def _until_done(self) -> int:
        """Wait until every trigger has looked and left nothing, and every execution has ended."""
        stopped = asyncio.create_task(self._stop.wait())
        while not self._stop.is_set() and not await self._settled():
            await asyncio.wait({stopped}, timeout=_LOOK_SECONDS)
        stopped.cancel()
        troubled = self._intakes.troubled or self._core.troubled
        return 1 if self._executor.failed or self._router.failed or troubled else 0

    async def _settled(self) -> bool:
        """
        Whether nothing is left. Asked in the order in which work is handed on, from claims to executions, so that
        what moves meanwhile is met again; what is in hand is looked at last. And at first: an object that is claimed,
        read and settled altogether between two questions would pass by all of them.
        """
        if not self._intakes.settled:
            return False
        if await self._journal.detections.untouched(self._intakes.working):
            return False
        if not await self._core.settled() or await self._journal.routes.untried():
            return False
        return not self._executor.running and not self._router.busy and self._intakes.settled

    async def _execute(self) -> timedelta | None:
        return await self._executor.step()

    async def _route(self) -> timedelta | None:
        return await self._router.step()

    async def _flush_logs(self) -> None:
        await self._journal.logs.flush()

    async def _ready(self) -> str | None:
        """Ready means: every trigger works. Gives the first that does not."""
        statuses = await self._journal.triggers.statuses()
        found = ((key, statuses.get(str(key))) for key in (*self._intakes.keys, *self._core.keys))
        return next((f"{key}: {status.cause}" for key, status in found if status and status.cause), None)
