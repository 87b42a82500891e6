"""What an intake works with: the trigger it serves, rendered, and what all intakes of this daemon share."""

import asyncio
from dataclasses import dataclass, field

from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.settings import Retry
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.detections import Standing
from tidewaiter.daemon.loop import Crashed
from tidewaiter.daemon.probes import Probes
from tidewaiter.daemon.records import TriggerKey, now
from tidewaiter.daemon.scope import Host, object_scope, rendered_trigger, trigger_scope
from tidewaiter.daemon.storage import Storage
from tidewaiter.triggers.bucket import BucketError, Connect
from tidewaiter.triggers.dated import Circumstances
from tidewaiter.triggers.rules import Rules
from tidewaiter.triggers.s3 import BucketTrigger, moves_into_itself

_MANY_FAILING = 100


@dataclass(frozen=True, slots=True)
class Port:
    """What every intake of this daemon shares. *crashed* is told of an error that is not one of ours."""

    journal: Journal
    storage: Storage
    expressions: Expressions
    host: Host
    connect: Connect
    probes: Probes
    transfers: int
    retry: Retry
    crashed: Crashed
    archiving: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Watch:
    """
    A trigger to serve: as of *revision* of *flow*. *looking* is False when only its claims are still to be finished.
    """

    key: TriggerKey
    flow: AnyFlow
    revision: int
    spec: BucketTrigger
    looking: bool = True


def checked_trigger(watch: Watch, port: Port) -> BucketTrigger:
    """
    Give the trigger of *watch* with its expressions evaluated.

    Raises:
        TidewaiterError: one of them fails, or objects would be moved to where they are found again.
    """
    spec = rendered_trigger(watch.flow, watch.revision, watch.spec, port.host, port.expressions)
    if reason := moves_into_itself(spec):
        raise BucketError(reason, "choose a moveTo outside the watched prefix", cause="MoveIntoItself")
    return spec


def conditions_hold(spec: BucketTrigger, watch: Watch, port: Port) -> bool:
    """
    Whether the trigger may look now; its conditions see the present as ``trigger.date`` (kestra.md §1.3).

    Raises:
        TidewaiterError: one of them cannot be told.
    """
    if not spec.conditions:
        return True
    scope = trigger_scope(watch.flow, watch.revision, watch.spec, port.host)
    trigger = {**scope.variables["trigger"], "date": now()}
    seen = Circumstances(
        lambda source: port.expressions.render(source, Scope({**scope.variables, "trigger": trigger}, scope.functions))
    )
    return all(condition.holds(seen) for condition in spec.conditions)


def rules_of(spec: BucketTrigger, watch: Watch, port: Port) -> Rules:
    """Make the rules of *spec*, the trigger of *watch* with its expressions rendered, ready to judge."""
    scope = trigger_scope(watch.flow, watch.revision, watch.spec, port.host)
    return Rules.of(spec, lambda source, item: port.expressions.render(source, object_scope(scope, item)))


def room_for(spec: BucketTrigger, standing: Standing, port: Port) -> int:
    """
    How many executions more to prepare: twice what may run at once, less what is there (design.md §3, "look-ahead").
    What keeps failing does not take the place of others, unless it is much.
    """
    prefetch = spec.prefetch or 2 * (port.transfers if spec.allow_concurrent else 1)
    return 0 if standing.waiting + standing.failing > max(prefetch, _MANY_FAILING) else prefetch - standing.batches
