"""What makes an execution of a trigger that no bucket feeds: what its expressions see, and what it is started with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.spec import Render, concrete
from tidewaiter.daemon.duty import AnyDuty, Duty, SpecT
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.scope import Host, trigger_scope
from tidewaiter.triggers.conditional import ConditionalTrigger
from tidewaiter.triggers.dated import Circumstances, Upstream


@dataclass(frozen=True, slots=True)
class Event:
    """
    What has happened. *variables* are what ``trigger`` will show; *known* is what else conditions and inputs see, and
    *upstream* the execution it is about, if any.
    """

    variables: Mapping[str, Any]
    date: datetime | None = None
    known: Mapping[str, Any] | None = None
    upstream: Upstream | None = None


@dataclass(frozen=True, slots=True)
class Starter:
    """Judges events and makes orders from them. Its methods raise `TidewaiterError` when an expression fails."""

    host: Host
    expressions: Expressions

    def circumstances(self, duty: Duty[ConditionalTrigger], event: Event) -> Circumstances:
        """Give what the conditions of a trigger look at; without a date of its own, an event happens now."""
        date = event.date or datetime.now(UTC)
        return Circumstances(self._render(duty, event, {"date": iso(date)}), event.upstream)

    def admits(self, duty: Duty[ConditionalTrigger], event: Event) -> bool:
        """Whether the conditions of the trigger hold."""
        return duty.spec.admits(self.circumstances(duty, event))

    def order(self, duty: Duty[ConditionalTrigger], event: Event) -> Launch:
        """Give what the execution of *event* is to be started with."""
        render = self._render(duty, event)
        labels = {name: render(text) for name, text in duty.spec.labels.items()}
        return Launch(
            duty.key,
            duty.spec.NAMES[0],  # whatever it was written as: `Execution.started_by` goes by it
            duty.revision,
            inputs=concrete(duty.spec, render, ("inputs",)).inputs,
            labels={name: text for name, text in labels.items() if text},
            variables=event.variables,
        )

    def concrete(self, duty: Duty[SpecT], only: str) -> SpecT:
        """Give the trigger with one property rendered that does not look at any event."""
        return concrete(duty.spec, self._render(duty, Event({})), (only,))

    def _render(self, duty: AnyDuty, event: Event, more: Mapping[str, Any] | None = None) -> Render:
        scope = trigger_scope(duty.flow, duty.revision, duty.spec, self.host)
        trigger = {**scope.variables["trigger"], **(more or {}), **event.variables}
        seen = Scope({**scope.variables, **(event.known or {}), "trigger": trigger}, scope.functions)
        return lambda source: self.expressions.render(source, seen)


def iso(date: datetime) -> str:
    """Write a date as Kestra does: to the second, with the offset of its zone."""
    return date.isoformat(timespec="seconds").replace("+00:00", "Z")
