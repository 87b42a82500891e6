"""The trigger that starts an execution for each request to its address: `core.trigger.Webhook`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidewaiter.config.spec import Dynamic, misfit
from tidewaiter.triggers.conditional import ConditionalTrigger


class Webhook(ConditionalTrigger):
    """
    Starts an execution for each request to ``/api/v1/executions/webhook/{namespace}/{flow}/{key}``; whoever knows
    *key* may.

    With *wait* the answer comes when the execution has ended; with *return_outputs* it is the outputs of the flow,
    as *response_content_type*, with the status *response_code*.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.trigger.Webhook",
        "io.kestra.core.models.triggers.types.Webhook",
    )

    key: Dynamic[Annotated[str, Field(min_length=1, max_length=256)]]
    allow_concurrent: bool = True
    wait: bool = False
    return_outputs: bool = False
    response_content_type: Literal["application/json", "text/plain"] = "application/json"
    response_code: Dynamic[Annotated[int, Field(ge=200, le=599)] | None] = None

    @model_validator(mode="after")
    def _can_answer(self) -> Self:
        if self.return_outputs and not self.wait:
            raise misfit("returnOutputs", "there are no outputs before the end", "set 'wait: true'")
        return self
