"""Look at a bucket for one trigger, tell what is new from what the journal knows, and claim it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tidewaiter.daemon.gathering import Gathering, Judged, Look, Notice
from tidewaiter.daemon.journal.claims import Comparison, Listed, Source
from tidewaiter.daemon.journal.detections import Detections
from tidewaiter.daemon.records import Detection, DetectionState, TriggerKey
from tidewaiter.triggers.bucket import Bucket, Page, S3Object
from tidewaiter.triggers.manifests import Manifests
from tidewaiter.triggers.rules import Found, Kind, Rules, Verdict
from tidewaiter.triggers.s3 import BucketTrigger
from tidewaiter.triggers.settle import REMOVING

_log = structlog.get_logger("tidewaiter.claimer")
_WHOLE_PAGE = 1000
_DECIDED = frozenset({Kind.TAKE, Kind.REFUSE})


@dataclass(frozen=True, slots=True)
class Claimer:
    """
    Finds and claims new objects for *trigger*, as *rules* say. *manifests* remembers those that were read.

    With *notice* a look only looks: it writes nothing, and tells of each new object that would stay where it is.
    """

    trigger: TriggerKey
    detections: Detections
    rules: Rules
    manifests: Manifests
    notice: Notice | None = None

    async def look(self, bucket: Bucket, room: int, *, to_the_end: bool = False) -> Look:
        """
        List until there is enough for *room* executions or the listing ends; a complete listing also shows what has
        vanished. *to_the_end* lists all the same, to count what is left.
        """
        gathering = Gathering(self.rules, room, self.notice)
        poll = self.detections.moment()
        absences: dict[str, int] = {}
        async for page, listed in self._pages(bucket, self._page_size(gathering)):
            compared = await self.detections.compare(self.trigger, listed, self._meant(page), poll)
            at = page.at or datetime.now(UTC)
            gathering.add(page, at, await self._firing(compared, at))
            absences |= compared.absences
            if gathering.enough and not to_the_end:
                return gathering.look(complete=False)
        if self.notice is None:
            await self.detections.forget_absent(self.trigger, bucket.name, absences)
        await gathering.read_manifests(bucket, self.manifests)
        return gathering.look(complete=True)

    async def skip(self, bucket: Bucket) -> None:
        """Remember all that is there without taking any of it (``initial: skip``). Safe to begin anew."""
        async for page, _ in self._pages(bucket, _WHOLE_PAGE):
            await self.detections.remember(self.trigger, page.objects)

    def _meant(self, page: Page) -> Sequence[S3Object]:
        """Leave out what no rule can let in before anything is asked of the journal; a marker needs no rule's leave."""
        if self.rules.spec.marked or self.notice is not None:
            return page.objects
        return [listed for listed in page.objects if self.rules.means(listed)]

    def _page_size(self, gathering: Gathering) -> int:
        """Where known keys stay, news may be anywhere; else what is listed first is what comes next."""
        if self.rules.spec.action not in REMOVING or gathering.needs_all:
            return _WHOLE_PAGE
        return min(_WHOLE_PAGE, max(100, 2 * gathering.wanted))

    async def _pages(self, bucket: Bucket, size: int) -> AsyncIterator[tuple[Page, Listed]]:
        """Give the pages of a listing, each also as the part of all keys that it speaks of."""
        spec = self.rules.spec
        first = spec.prefix
        pages = bucket.list(spec.prefix, start_after=spec.marker, delimiter=spec.delimiter, page_size=size)
        async for page in pages:
            last = None if page.last else page.objects[-1].key if page.objects else first
            yield page, Listed(bucket.name, page.objects, first, last, lambda key: covers(spec, key))
            first = first if last is None else f"{last}\0"

    async def _firing(self, compared: Comparison, at: datetime) -> list[Judged]:
        """
        Judge what is new and keep what the trigger's ``on`` asks for; remember the rest of what it means, so that a
        later change of it is seen as one.
        """
        judged = [Judged(item, Found(item.object, self.rules.judge(item.object, at))) for item in compared.arrivals]
        others = [item for item in judged if self.rules.spec.on not in {item.arrival.change_type, "CREATE_OR_UPDATE"}]
        if self.notice is not None:
            for item in others:
                self.notice(_not_asked_for(item, self.rules.spec.on))
        elif unwanted := [item.found.object for item in others if item.found.verdict.kind in _DECIDED]:
            await self.detections.remember(self.trigger, unwanted)
        left_out = {item.found.object.key for item in others if item.found.verdict.kind is not Kind.SKIP}
        return [item for item in judged if item.found.object.key not in left_out] if left_out else judged

    async def claim(self, source: Source, look: Look) -> list[Detection]:
        """
        Claim each batch for an execution of its own; what must not be touched is parked, to be seen. Gives the
        detections that are to be read now.
        """
        if not (look.batches or look.refused):
            return []
        claimed = await self.detections.claim(source, [*look.batches, look.refused])
        accepted = sum(map(len, look.batches))
        _log.info("objects_claimed", trigger=str(self.trigger), objects=accepted)
        for claim in look.refused:
            _log.warning("object_parked", trigger=str(self.trigger), key=claim.arrival.object.key, reason=claim.refusal)
        return [detection for detection in claimed if detection.state is DetectionState.CLAIMED]


def _not_asked_for(item: Judged, on: str) -> Found:
    kind = "new" if item.arrival.change_type == "CREATE" else "a change of one that is known"
    return Found(item.found.object, Verdict(Kind.SKIP, "on", f"it is {kind}; on is {on}"))


def covers(spec: BucketTrigger, key: str) -> bool:
    """Tell whether a complete listing for *spec* would show an object at *key*."""
    if not key.startswith(spec.prefix) or (spec.marker and key <= spec.marker):
        return False
    return not (spec.delimiter and spec.delimiter in key[len(spec.prefix) :])
