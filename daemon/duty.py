"""A trigger in service, whatever its type."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tidewaiter.config.flow import TriggerSpec
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.records import TriggerKey

SpecT = TypeVar("SpecT", bound=TriggerSpec)
SpecT_co = TypeVar("SpecT_co", bound=TriggerSpec, covariant=True)


@dataclass(frozen=True, slots=True)
class Duty(Generic[SpecT_co]):
    """A trigger to serve, as of *revision* of *flow*."""

    key: TriggerKey
    flow: AnyFlow
    revision: int
    spec: SpecT_co


AnyDuty = Duty[TriggerSpec]


def of_kind(duties: Iterable[Duty[Any]], kind: type[SpecT]) -> dict[TriggerKey, Duty[SpecT]]:
    """Give those of *duties* whose trigger is a *kind*, by their keys."""
    return {duty.key: duty for duty in duties if isinstance(duty.spec, kind)}
