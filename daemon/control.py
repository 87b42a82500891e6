"""What an operator may ask for: each request is a row in the journal and a wake, whoever asks (design.md §3)."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Execution, TriggerKey


class NotFoundError(TidewaiterError):
    """There is no execution or trigger of that name."""


class NotPossibleError(TidewaiterError):
    """The request does not fit the state its object is in."""


def _nobody() -> None:
    """Nobody is there to be woken: the journal is used without a daemon."""


@dataclass(frozen=True, slots=True)
class Control:
    """
    Operator requests. Without a daemon they take effect at its next start, but for `poll`, which needs one.

    *wake_executor* and *poll_trigger* are the daemon's.
    """

    journal: Journal
    wake_executor: Callable[[], None] = _nobody
    poll_trigger: Callable[[TriggerKey], bool] | None = None

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

    async def pause(self, trigger: TriggerKey, *, paused: bool) -> None:
        """Stop or resume a trigger's looking for new objects."""
        await self.journal.triggers.pause(trigger, paused=paused)
        if self.poll_trigger is not None:
            self.poll_trigger(trigger)

    def poll(self, trigger: TriggerKey) -> None:
        """Make a trigger look now. Raises `NotPossibleError` when no daemon has it."""
        if self.poll_trigger is None or not self.poll_trigger(trigger):
            raise NotPossibleError(f"no daemon is running trigger '{trigger}' now", "start one with 'tidewaiter run'")
