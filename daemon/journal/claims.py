"""What a claim is made of, and how a listing and the journal together tell what is new."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tidewaiter.daemon.database import Row
from tidewaiter.daemon.records import DetectionState, TriggerKey, now, timestamp
from tidewaiter.triggers.bucket import S3Object


@dataclass(frozen=True, slots=True)
class Source:
    """On whose behalf objects are claimed: the trigger as of *flow_revision*, its type and its action."""

    trigger: TriggerKey
    trigger_type: str
    flow_revision: int
    action: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    A listed object nobody has claimed. *yields*: the id of a parked or blocked claim on older content that it
    replaces.
    """

    object: S3Object
    change_type: str
    yields: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """
    An arrival about to be claimed, with where its action will put it (None: nowhere). *refusal* says why it must not
    be touched: it is parked, to be seen. *captures* are the named parts of its key; a *marker* completes the set it is
    claimed with, and is not one of its objects.
    """

    arrival: Arrival
    destination: tuple[str, str] | None = None
    refusal: str | None = None
    captures: Mapping[str, str] = field(default_factory=dict)
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """
    Part of a listing, complete between *first* and *last* key (None: to the end). *covers* tells which keys it would
    have shown.
    """

    bucket: str
    objects: Sequence[S3Object]
    first: str
    last: str | None
    covers: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What a part of a listing means: *arrivals* nobody has claimed, in key order, and *absences*, keys remembered but
    not shown, with how many listings in a row did not show them (0: it is back).
    """

    arrivals: list[Arrival]
    absences: dict[str, int]


def absences(listed: Listed, seen: Mapping[str, Row]) -> dict[str, int]:
    """Give the remembered keys whose number of absences in a row changes with *listed*, and the new number."""
    present = {item.key for item in listed.objects}
    counts = (
        (key, row["absent"], 0 if key in present else row["absent"] + 1)
        for key, row in seen.items()
        if listed.covers(key)
    )
    return {key: count for key, before, count in counts if count != before}


def arrival(item: S3Object, seen: Row | None, live: Row | None) -> Arrival | None:
    """
    Decide whether *item* is news; identity is ETag and time of change, since an ETag alone misses identical
    re-uploads. What was parked is taken up again when its time has come.
    """
    identity = (item.etag, timestamp(item.last_modified))
    change = "UPDATE" if seen else "CREATE"
    if live is not None:
        parked = live["state"] == DetectionState.PARKED
        again = parked and live["next_try"] is not None and live["next_try"] <= now()
        replaceable = parked or live["blocked"]
        if not replaceable or (identity == (live["etag"], live["last_modified"]) and not again):
            return None
        # What was parked was never read, so its successor is what it was.
        return Arrival(item, live["change_type"] if parked else change, live["id"])
    if seen is not None and identity == (seen["etag"], seen["last_modified"]):
        return None
    return Arrival(item, change)
