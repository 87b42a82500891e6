"""The trigger that starts executions at given times: `core.trigger.Schedule`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from tidewaiter.config.fields import PositiveDuration, Text
from tidewaiter.config.spec import Dynamic, Spec, misfit
from tidewaiter.triggers.conditional import ConditionalTrigger
from tidewaiter.triggers.conditions import Conditions
from tidewaiter.triggers.cron import Cron, parse_cron
from tidewaiter.triggers.dated import MomentText, moment
from tidewaiter.triggers.windows import ZoneName, zone_of

Recovery = Literal["ALL", "LAST", "NONE"]


class Backfill(Spec):
    """Where a new schedule begins, if not now (Kestra before 0.15)."""

    start: Dynamic[MomentText]
    """The first date, in the schedule's time zone where it names none."""


class Schedule(ConditionalTrigger):
    """Starts an execution at given times. Dates on which a condition does not hold are none."""

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.trigger.Schedule",
        "io.kestra.core.models.triggers.types.Schedule",
    )

    cron: Text
    """The dates: minute, hour, day, month and weekday, or a nickname such as ``@daily``."""
    with_seconds: bool = False
    """Whether ``cron`` may have six fields, the first of which is the second."""
    timezone: ZoneName | None = None
    """The time zone of the dates; UTC without one."""
    late_maximum_delay: PositiveDuration | None = None
    """A date that would come later than this is left out."""
    recover_missed_schedules: Recovery = "ALL"
    """What becomes of dates that went by while no daemon ran: each is made up for, only the last one, or none."""
    backfill: Backfill | None = None
    """Lets a new schedule begin in the past."""
    conditions: Annotated[Conditions, Field(validation_alias=AliasChoices("conditions", "scheduleConditions"))] = ()
    """What must hold on a date, all of it, for it to be one."""

    @model_validator(mode="after")
    def _due_at_times(self) -> Self:
        try:
            self.dates()
        except ValueError as error:
            raise misfit("cron", str(error), "for example '0 6 * * MON-FRI': at six from Monday to Friday") from error
        return self

    def dates(self) -> Cron:
        """What *cron* says."""
        return parse_cron(self.cron, seconds=self.with_seconds)

    @property
    def definition(self) -> str:
        """Says which dates there are: with another one, a schedule begins anew."""
        return f"{self.cron} {self.timezone or 'UTC'}"

    @property
    def begin(self) -> datetime | None:
        """The moment after which a new schedule has dates, None for the present; only for a spec without templates."""
        if self.backfill is None:
            return None
        return moment(self.backfill.start, zone_of(self.timezone)).astimezone(UTC) - timedelta(microseconds=1)
