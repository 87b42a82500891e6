"""What an execution is made from. One statement makes every execution there is, so that none lacks anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.daemon.database import Transaction
from tidewaiter.daemon.records import TriggerKey, new_id, now


@dataclass(frozen=True, slots=True)
class Launch:
    """
    What an execution is started with: the flow as of *flow_revision*, and on whose behalf.

    *variables* are what ``trigger`` shows (None for one that objects started); *parent_id* the execution whose task
    starts it; *original_id* the one that it replays. *batch_id* groups its objects and orders it among others.
    """

    trigger: TriggerKey
    trigger_type: str
    flow_revision: int
    batch_id: str = field(default_factory=new_id)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] | None = None
    parent_id: str | None = None
    original_id: str | None = None
    held: bool = False


def launch(tx: Transaction, identifier: str, order: Launch) -> bool:
    """
    Create the execution with that id; False if there is one already, which is left as it is. Part of a transaction, so
    that whatever it follows from is recorded with it or not at all.
    """
    return bool(
        tx.run(
            "insert_execution",
            id=identifier,
            batch_id=order.batch_id,
            namespace=order.trigger.namespace,
            flow_id=order.trigger.flow_id,
            flow_revision=order.flow_revision,
            trigger_key=str(order.trigger),
            trigger_type=order.trigger_type,
            held=int(order.held),
            created_at=now(),
            original_id=order.original_id,
            inputs=json.dumps(dict(order.inputs)),
            labels=json.dumps(dict(order.labels)),
            variables=None if order.variables is None else json.dumps(dict(order.variables)),
            parent_id=order.parent_id,
        )
    )
