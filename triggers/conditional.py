"""What the triggers have in common that no bucket feeds: conditions, and inputs for the execution they start."""

from typing import Any, Self

from pydantic import Field, model_validator

from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TriggerSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.triggers.conditions import Circumstances, Conditions, about_time


class ConditionalTrigger(TriggerSpec):
    """
    A trigger that starts an execution when something has happened, if all *conditions* hold and *when* is true
    (its value is neither blank, ``0`` nor ``false``). *inputs* are given to the execution.
    """

    conditions: Conditions = ()
    when: Text = "true"
    inputs: Dynamic[dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _conditions_fit(self) -> Self:
        self.check_conditions()
        return self

    def check_conditions(self) -> None:
        """Refuse conditions that make no sense for the trigger."""
        about_time(self.conditions)

    def admits(self, seen: Circumstances) -> bool:
        """
        Tell whether every condition holds.

        Raises:
            TidewaiterError: one of them cannot be told.
        """
        return all(condition.holds(seen) for condition in self.conditions) and truthy(seen.render(self.when))
