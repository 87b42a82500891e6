"""What each store was seen to honour, found out once for all triggers that watch it."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.bucket import Bucket, Capabilities
from tidewaiter.triggers.s3 import BucketTrigger
from tidewaiter.triggers.settle import REMOVING, check_capabilities

_PROBE_AGE = timedelta(days=1)
# What was not seen once may have been hidden by trouble; whoever is refused for it asks again.
_DOUBT_AGE = timedelta(seconds=10)
_Which = tuple[Connection, str]


def check_removal(spec: BucketTrigger, capabilities: Capabilities) -> None:
    """
    Make sure that nothing but what it means is removed by *spec* on a store with *capabilities*.

    Raises:
        BucketError: the store cannot promise that, see `tidewaiter.triggers.settle.check_capabilities`.
    """
    if spec.removes:
        check_capabilities(
            f"action {spec.action}" if spec.action in REMOVING else "what follows an execution",
            capabilities,
            allow_unconditional=spec.allow_unconditional_delete,
            keep_versions=spec.keep_versions,
        )


def _safe(capabilities: Capabilities) -> bool:
    return capabilities.versioning or capabilities.delete_if_match


@dataclass(slots=True)
class Probes:
    """
    What stores were seen to honour, found out once a day for each bucket however many triggers watch it; sooner while
    it seems unsafe.
    """

    scratch_prefix: str
    _known: dict[_Which, tuple[float, Capabilities]] = field(default_factory=dict)
    _asking: defaultdict[_Which, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def of(self, bucket: Bucket, spec: BucketTrigger) -> Capabilities:
        """
        Give what the store of *bucket*, reached as *spec* says, honours (reliability.md §2.2). Probe objects are
        written where the trigger moves objects to in it, which must be writable anyway, else below *scratch_prefix*.

        Raises:
            BucketError: the probe objects cannot be written, or the store cannot be asked.
        """
        which = (spec.connection(), bucket.name)
        async with self._asking[which]:
            known = self._known.get(which)
            age = _PROBE_AGE if known and _safe(known[1]) else _DOUBT_AGE
            if known is None or time.monotonic() - known[0] > age.total_seconds():
                inside = (to.folder for to in spec.destinations if (to.bucket or spec.bucket) == bucket.name)
                folder = next(inside, self.scratch_prefix)
                known = self._known[which] = (time.monotonic(), await bucket.probe(folder))
            return known[1]
