"""What the triggers have in common that no bucket feeds: conditions, and inputs for the execution they start."""

from typing import Any, Self

from pydantic import Field, model_validator

from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TriggerSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.triggers.conditions import Conditions, about_time
from tidewaiter.triggers.dated import Circumstances


class ConditionalTrigger(TriggerSpec):
    """A trigger that starts an execution when something has happened, if its conditions let it."""

    conditions: Conditions = ()
    """What must hold, all of it, for an execution to start."""
    when: Text = "true"
    """An expression; nothing starts while its value is blank, ``0`` or ``false``."""
    inputs: Dynamic[dict[str, Any]] = Field(default_factory=dict)
    """The inputs of the execution."""

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
