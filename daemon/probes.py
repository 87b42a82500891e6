"""What each store was seen to honour, found out once for all triggers that watch it."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta

from tidewaiter.triggers.bucket import Bucket, Capabilities, Connection
from tidewaiter.triggers.s3 import BucketTrigger, same_bucket

_PROBE_AGE = timedelta(days=1)


@dataclass(slots=True)
class Probes:
    """What stores were seen to honour, found out once a day for each bucket however many triggers watch it."""

    scratch_prefix: str
    _known: dict[tuple[Connection, str], tuple[float, Capabilities]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, bucket: Bucket, spec: BucketTrigger) -> Capabilities:
        """
        Give what the store of *spec* honours (reliability.md §2.2). Probe objects are written where the trigger moves
        objects to, which must be writable anyway, else below *scratch_prefix*.

        Raises:
            BucketError: the probe objects cannot be written, or the store cannot be asked.
        """
        which = (spec.connection(), spec.bucket)
        async with self._asking:
            known = self._known.get(which)
            if known is None or time.monotonic() - known[0] > _PROBE_AGE.total_seconds():
                folder = spec.move_to.folder if spec.move_to and same_bucket(spec) else self.scratch_prefix
                known = self._known[which] = (time.monotonic(), await bucket.probe(folder))
            return known[1]
