"""Starts an execution for each request to a webhook. What HTTP is, `tidewaiter.daemon.web` knows."""

import asyncio
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon import views
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.duty import AnyDuty, Duty, of_kind
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.records import Execution, ExecutionState, TriggerKey
from tidewaiter.daemon.starter import Event, Starter
from tidewaiter.daemon.troubles import Troubles
from tidewaiter.triggers.webhook import Webhook

_log = structlog.get_logger("tidewaiter.webhooks")

_LONGEST_WAIT = timedelta(hours=1)
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: its *body* as read (None without one), headers and parameters with all their values."""

    body: Any
    headers: Mapping[str, list[str]]
    parameters: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets: an HTTP status and a body, None for none."""

    status: int
    text: str | None = None
    content_type: str = _JSON


@dataclass(frozen=True, slots=True)
class _Served:
    duty: Duty[Webhook]
    digest: bytes


@dataclass(slots=True)
class Webhooks:
    """
    Answers calls. *launched* is called when executions may be ready, *listening* tells whether anybody can call.

    Which key was tried against which flow is never told, nor by how long the answer takes.
    """

    journal: Journal
    starter: Starter
    launched: Callable[[], None]
    listening: bool
    troubles: Troubles = field(init=False)
    _served: dict[TriggerKey, _Served] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.troubles = Troubles(self.journal)

    async def serve(self, duties: Iterable[AnyDuty]) -> None:
        """Serve the webhooks among *duties* from now on; one whose key cannot be told says so and answers nobody."""
        served: dict[TriggerKey, _Served] = {}
        for key, duty in of_kind(duties, Webhook).items():
            if key not in self._served and not self.listening:
                _log.warning("webhook_unreachable", trigger=str(key), hint=_HOW_TO_LISTEN)
            try:
                spec = self.starter.concrete(duty, "key") if _changed(self._served, duty) else None
            except TidewaiterError as error:
                await self.troubles.note(key, error)
                continue
            served[key] = _Served(duty, _digest(spec.key)) if spec else self._served[key]
            if spec:
                await self.troubles.clear(key)
        self._served = served

    def facts(self, key: TriggerKey) -> Mapping[str, Any]:
        """Give what is known of a webhook."""
        known: dict[str, Any] = {"watches": f"/api/v1/executions/webhook/{key.namespace}/{key.flow_id}/<key>"}
        if not self.listening:
            message = "nobody can call it: the daemon does not listen"
            known["problem"] = {"cause": "NotListening", "message": message, "hint": _HOW_TO_LISTEN, "since": None}
        return known

    def knows(self, flow_path: str, key: str) -> bool:
        """Whether there is such a webhook: nothing need be read of a request to another."""
        return self._found(flow_path, key) is not None

    async def answer(self, flow_path: str, key: str, call: Call) -> Answer:
        """Answer a request to the webhook of a flow, given by its full name; an execution is created before that."""
        duty = self._found(flow_path, key)
        if duty is None:
            return _refusal(404, "there is no such webhook")
        if await self.journal.triggers.paused(duty.key):
            return _refusal(409, "this webhook is paused")
        try:
            order = self._order(duty, call)
        except DatabaseError:
            raise
        except TidewaiterError as error:
            await self.troubles.note(duty.key, error)
            return _refusal(422, "the trigger cannot evaluate this request; 'tidewaiter triggers list' tells why")
        await self.troubles.clear(duty.key)
        return Answer(204) if order is None else await self._started(duty, order)

    def ended(self, execution: Execution) -> None:
        """Tell whoever waits for it that an execution has ended."""
        if execution.id in self._waiting:
            self._waiting[execution.id].set()

    def _found(self, flow_path: str, key: str) -> Duty[Webhook] | None:
        """Find the trigger of that flow with that key. Something is compared in any case, and all of them are."""
        digest = _digest(key)
        own = [served for name, served in self._served.items() if name.flow_path == flow_path]
        fitting = [served.duty for served in own if hmac.compare_digest(served.digest, digest)]
        hmac.compare_digest(secrets.token_bytes(len(digest)), digest)
        return fitting[0] if fitting else None

    def _order(self, duty: Duty[Webhook], call: Call) -> Launch | None:
        event = Event({"body": call.body, "headers": dict(call.headers), "parameters": dict(call.parameters)})
        return self.starter.order(duty, event) if self.starter.admits(duty, event) else None

    async def _started(self, duty: Duty[Webhook], order: Launch) -> Answer:
        identifier = str(uuid.uuid4())
        done = self._waiting[identifier] = asyncio.Event()
        try:
            execution = await self.journal.executions.create(order, identifier)
            _log.info("webhook_called", trigger=str(duty.key), execution=execution.id)
            self.launched()
            if duty.spec.wait:
                execution = await self._end_of(execution, done)
        finally:
            del self._waiting[identifier]
        return await self._told(duty, execution)

    async def _end_of(self, execution: Execution, done: asyncio.Event) -> Execution:
        try:
            async with asyncio.timeout(_LONGEST_WAIT.total_seconds()):
                await done.wait()
        except TimeoutError:
            pass
        return await self.journal.executions.get(execution.id) or execution

    async def _told(self, duty: Duty[Webhook], execution: Execution) -> Answer:
        spec = self.starter.concrete(duty, "response_code")
        failed = execution.state in {ExecutionState.FAILED, ExecutionState.KILLED}
        status = (spec.response_code or (500 if failed else 200)) if spec.wait else 200
        if spec.return_outputs:
            return Answer(status, _outputs(execution, spec.response_content_type), spec.response_content_type)
        summary = await views.execution_summary(self.journal, execution)
        return Answer(status, json.dumps(summary, ensure_ascii=False))


_HOW_TO_LISTEN = "start it with --listen HOST:PORT"


def _outputs(execution: Execution, content_type: str) -> str:
    """Give the outputs; a single text one as it is, where the caller wants text."""
    values = list(execution.outputs.values())
    if content_type != _JSON and len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(dict(execution.outputs), ensure_ascii=False)


def _refusal(status: int, reason: str) -> Answer:
    return Answer(status, json.dumps({"error": reason}))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _changed(served: Mapping[TriggerKey, _Served], duty: Duty[Webhook]) -> bool:
    return duty.key not in served or served[duty.key].duty != duty
