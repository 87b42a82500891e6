"""Triggers in service, made from flows as their authors write them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.duty import AnyDuty, Duty
from tidewaiter.daemon.flows import parse_flow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.records import Execution, ExecutionState, TriggerKey
from tidewaiter.daemon.scope import Host
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.starter import Starter


@dataclass
class Office:
    """What serves triggers, without a daemon around it."""

    journal: Journal
    expressions: Expressions
    launched: int = 0
    starter: Starter = field(init=False)

    def __post_init__(self) -> None:
        self.starter = Starter(Host(Secrets({"HOOK": "s3same"}), {}), self.expressions)

    def launch(self) -> None:
        self.launched += 1

    def duties(self, triggers: str, flow_id: str = "tide") -> Sequence[AnyDuty]:
        """The triggers of a flow, given by their YAML."""
        text = f"id: {flow_id}\nnamespace: harbour\ntasks: [{{id: a, type: log.Log, message: hi}}]\ntriggers:\n"
        flow = parse_flow(text + textwrap.indent(textwrap.dedent(triggers), "  "), f"{flow_id}.yaml", self.expressions)
        return [Duty(TriggerKey("harbour", flow_id, trigger.id), flow, 1, trigger) for trigger in flow.triggers]

    async def ended(
        self, flow_id: str, state: str = "SUCCESS", trigger: str = "by-hand", **launch: object
    ) -> Execution:
        """Let an execution of a flow end."""
        outputs = launch.pop("outputs", {})
        key = TriggerKey("harbour", flow_id, trigger)
        execution = await self.journal.executions.create(Launch(key, "", 1, variables={}, **launch))  # type: ignore[arg-type]
        await self.journal.executions.start(execution)
        await self.journal.executions.end(execution.id, ExecutionState(state), outputs)  # type: ignore[arg-type]
        return execution

    async def executions(self, flow_id: str = "tide") -> list[Execution]:
        """The executions of a flow, in order of creation."""
        return (await self.journal.executions.newest(flow=flow_id))[::-1]


async def show(office: Office, flow_id: str = "tide") -> list[object]:
    """What ``trigger.date`` was in each execution of a flow."""
    return [(item.variables or {}).get("date") for item in await office.executions(flow_id)]
