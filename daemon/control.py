"""What an operator may ask for: each request is a row in the journal and a wake, whoever asks (design.md §3)."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Detection, Execution, TriggerKey


class NotFoundError(TidewaiterError):
    """There is no execution or trigger of that name."""


class NotPossibleError(TidewaiterError):
    """The request does not fit the state its object is in."""


def _nobody() -> None:
    """Nobody is there to be woken: the journal is used without a daemon."""


def _no_one(_execution_id: str) -> None:
    """Nothing waits: no execution is in work without a daemon."""


@dataclass(frozen=True, slots=True)
class Control:
    """
    Operator requests. Without a daemon they take effect at its next start, but for `poll`, which needs one.

    *wake_executor*, *poll_trigger*, *wake_router* and *tell*, which wakes what waits for news of an execution, are the
    daemon's.
    """

    journal: Journal
    wake_executor: Callable[[], None] = _nobody
    poll_trigger: Callable[[TriggerKey], bool] | None = None
    wake_router: Callable[[], None] = _nobody
    tell: Callable[[str], None] = _no_one

    async def execution(self, prefix: str) -> Execution:
        """
        Give the execution whose id is, or uniquely begins with, *prefix*.

        Raises:
            NotFoundError: none or several do.
        """
        found = await self.journal.executions.find(prefix) if prefix else []
        exact = [execution for execution in found if execution.id == prefix]
        if len(found) != 1 and not exact:
            reason = "more than one execution begins with" if found else "there is no execution"
            raise NotFoundError(f"{reason} '{prefix}'", "see 'tidewaiter executions list'")
        return (exact or found)[0]

    async def kill(self, prefix: str) -> Execution:
        """Ask for an execution to be killed. Raises `NotPossibleError` if it has ended."""
        execution = await self.execution(prefix)
        if not await self.journal.executions.request_kill(execution.id):
            raise NotPossibleError(f"execution {execution.id} has ended already ({execution.state.value})")
        self.wake_executor()
        return execution

    async def start(self, flow: str, inputs: Mapping[str, Any]) -> Execution:
        """
        Run a flow by hand, without an object. *flow* is its full name, or its id where that is enough.

        Raises:
            NotFoundError: no flow in service, or several, are called that.
        """
        served = [(namespace, flow_id) for namespace, flow_id, _ in await self.journal.triggers.latest_flows()]
        found = [name for name in served if flow in {name[1], ".".join(name)}]
        if len(found) != 1:
            reason = f"several flows are called '{flow}'" if found else f"there is no flow '{flow}'"
            names = ", ".join(sorted(".".join(name) for name in found or served))
            raise NotFoundError(reason, f"flows in service: {names or 'none'}")
        [(namespace, flow_id)] = found
        revision = await self.journal.triggers.served(namespace, flow_id) or 1
        created = await self.journal.executions.by_hand(TriggerKey(namespace, flow_id, "by-hand"), revision, inputs)
        self.wake_executor()
        return created

    async def resume(self, prefix: str, inputs: Mapping[str, Any]) -> Execution:
        """Let a paused execution go on, with *inputs*. Raises `NotPossibleError` if it is not paused."""
        execution = await self.execution(prefix)
        if not await self.journal.executions.resume(execution.id, inputs):
            raise NotPossibleError(f"execution {execution.id} is not paused ({execution.state.value})")
        self.tell(execution.id)
        return execution

    async def replay(self, prefix: str) -> Execution:
        """
        Run an ended execution again on the same objects, as a new execution. Raises `NotPossibleError` while it is
        still live.
        """
        execution = await self.execution(prefix)
        if not execution.state.ended:
            raise NotPossibleError(
                f"execution {execution.id} has not ended ({execution.state.value})",
                "kill it first, or wait for its end",
            )
        created = await self.journal.executions.replay(execution, str(uuid.uuid4()))
        self.wake_executor()
        return created

    async def object(self, beginning: str) -> Mapping[str, Any]:
        """
        Give the row of the object whose id is, or uniquely begins with, *beginning*.

        Raises:
            NotFoundError: none or several do.
        """
        found = await self.journal.objects.find(beginning.upper()) if beginning else []
        if len(found) != 1:
            reason = "the ids of several objects begin with" if found else "there is no object with the id"
            raise NotFoundError(f"{reason} '{beginning}'", "see 'tidewaiter objects list'")
        return found[0]

    async def retry_object(self, beginning: str) -> str:
        """
        Take an object up again, and say how: a parked one is claimed anew by the next look, a quarantined one goes back
        to where it was found, and what waits after a failed step is tried at once.

        Raises:
            NotPossibleError: there is nothing left to do for it.
        """
        row = await self.object(beginning)
        detection = await self.journal.detections.get(row["id"])
        done = await self._retried(detection, quarantined=row["state"] == "QUARANTINED") if detection else None
        if detection is None or done is None:
            raise NotPossibleError(
                f"nothing is left to do for object {row['id']} ({row['state']})",
                "run its execution again with 'tidewaiter executions replay'",
            )
        if self.poll_trigger is not None:
            self.poll_trigger(TriggerKey.parse(detection.trigger))
        self.wake_router()
        return done

    async def _retried(self, detection: Detection, *, quarantined: bool) -> str | None:
        if quarantined and await self.journal.routes.redrive(detection):
            return "goes back to where it was found"
        if await self.journal.objects.release(detection, self.journal.detections.moment()):
            return "is taken up by the next look"
        waited = await self.journal.objects.hasten(detection), await self.journal.routes.hasten(detection.id)
        return "is tried again now" if any(waited) else None

    async def pause(self, trigger: TriggerKey, *, paused: bool) -> None:
        """Stop or resume a trigger's looking for new objects."""
        await self.journal.triggers.pause(trigger, paused=paused)
        if self.poll_trigger is not None:
            self.poll_trigger(trigger)

    def poll(self, trigger: TriggerKey) -> None:
        """Make a trigger look now. Raises `NotPossibleError` when no daemon has it."""
        if self.poll_trigger is None or not self.poll_trigger(trigger):
            raise NotPossibleError(f"no daemon is running trigger '{trigger}' now", "start one with 'tidewaiter run'")
