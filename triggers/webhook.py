"""The trigger that starts an execution for each request to its address: `core.trigger.Webhook`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidewaiter.config.spec import Dynamic, misfit
from tidewaiter.triggers.conditional import ConditionalTrigger


class Webhook(ConditionalTrigger):
    """Starts an execution for each request to ``/api/v1/executions/webhook/{namespace}/{flow}/{key}``."""

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.trigger.Webhook",
        "io.kestra.core.models.triggers.types.Webhook",
    )

    key: Dynamic[Annotated[str, Field(min_length=1, max_length=256)]]
    """The last part of the address: whoever knows it may start the flow. Best a secret."""
    allow_concurrent: bool = True
    """Whether executions of the trigger may run at the same time."""
    wait: bool = False
    """Whether the answer waits for the end of the execution."""
    return_outputs: bool = False
    """Whether the answer is the outputs of the flow, in place of the execution."""
    response_content_type: Literal["application/json", "text/plain"] = "application/json"
    """As what the outputs are sent; a single text is sent as it is in ``text/plain``."""
    response_code: Dynamic[Annotated[int, Field(ge=200, le=599)] | None] = None
    """The HTTP status of an answer that waited; else 200, or 500 if the execution failed."""

    @model_validator(mode="after")
    def _can_answer(self) -> Self:
        if self.return_outputs and not self.wait:
            raise misfit("returnOutputs", "there are no outputs before the end", "set 'wait: true'")
        return self
