"""Look at a bucket for one trigger, tell what is new from what the journal knows, and claim it."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from tidewaiter.daemon.journal.claims import Arrival, Claim, Listed, Source
from tidewaiter.daemon.journal.detections import Detections
from tidewaiter.daemon.records import Detection, DetectionState, TriggerKey
from tidewaiter.triggers.arrivals import destination, scan
from tidewaiter.triggers.bucket import Bucket
from tidewaiter.triggers.s3 import BucketTrigger

_log = structlog.get_logger("tidewaiter.claimer")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the bucket found to claim, in key order. *complete*: it saw the listing to its end."""

    claims: list[Claim]
    complete: bool


@dataclass(frozen=True, slots=True)
class Claimer:
    """Finds and claims new objects for *trigger*."""

    trigger: TriggerKey
    detections: Detections

    async def look(self, bucket: Bucket, spec: BucketTrigger, wanted: int) -> Look:
        """
        List until *wanted* new objects are found or the listing ends; a complete listing also shows what has
        vanished.
        """
        poll = self.detections.moment()
        arrivals: list[Claim] = []
        absences: dict[str, int] = {}
        first = spec.prefix
        # Without an action known keys stay, and news may be anywhere; else what is listed first is what comes next.
        page_size = 1000 if spec.action == "NONE" else min(1000, max(100, 2 * wanted))
        async for page in scan(bucket, spec, page_size=page_size):
            last = None if page.last else page.listed[-1].key if page.listed else first
            listed = Listed(bucket.name, page.listed, first, last, lambda key: covers(spec, key))
            refusals = {refused.object.key: refused.reason for refused in page.refused}
            keys = {item.key for item in page.matching} | refusals.keys()
            meant = [item for item in page.listed if item.key in keys]
            compared = await self.detections.compare(self.trigger, listed, meant, poll)
            firing = await self._firing(spec, compared.arrivals)
            arrivals += [_claim(spec, arrival, refusals.get(arrival.object.key)) for arrival in firing]
            absences |= compared.absences
            first = first if last is None else f"{last}\0"
            if len(arrivals) > wanted:
                return Look(arrivals, complete=False)
        await self.detections.forget_absent(self.trigger, bucket.name, absences)
        return Look(arrivals, complete=True)

    async def _firing(self, spec: BucketTrigger, new: Sequence[Arrival]) -> list[Arrival]:
        """Keep what the trigger's ``on`` asks for; remember the rest, so that a later change of it is seen as one."""
        fires = [arrival for arrival in new if spec.on in {arrival.change_type, "CREATE_OR_UPDATE"}]
        if len(fires) < len(new):
            chosen = {arrival.object.key for arrival in fires}
            await self.detections.remember(self.trigger, [a.object for a in new if a.object.key not in chosen])
        return fires

    async def claim(self, source: Source, claims: Sequence[Claim], size: int) -> list[Detection]:
        """
        Claim in batches of *size* objects, each for one execution; what must not be touched is parked, to be seen.
        Gives the detections that are to be read now.
        """
        if not claims:
            return []
        refused = [claim for claim in claims if claim.refusal]
        accepted = [claim for claim in claims if not claim.refusal]
        batches = [accepted[at : at + size] for at in range(0, len(accepted), size)]
        claimed = await self.detections.claim(source, [*batches, refused])
        _log.info("objects_claimed", trigger=str(self.trigger), objects=len(accepted))
        for claim in refused:
            _log.warning("object_parked", trigger=str(self.trigger), key=claim.arrival.object.key, reason=claim.refusal)
        return [detection for detection in claimed if detection.state is DetectionState.CLAIMED]


def _claim(spec: BucketTrigger, arrival: Arrival, refusal: str | None) -> Claim:
    moves = spec.action == "MOVE" and not refusal
    return Claim(arrival, destination(spec, arrival.object) if moves else None, refusal)


def covers(spec: BucketTrigger, key: str) -> bool:
    """Tell whether a complete listing for *spec* would show an object at *key*."""
    if not key.startswith(spec.prefix) or (spec.marker and key <= spec.marker):
        return False
    return not (spec.delimiter and spec.delimiter in key[len(spec.prefix) :])
