"""Throws away the parts of uploads that a crash left unfinished: invisible at their key, but stored and paid for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from tidewaiter.daemon.journal import Journal
from tidewaiter.triggers.bucket import Bucket, BucketError, Connect, MultipartUpload
from tidewaiter.triggers.s3 import BucketTrigger

_log = structlog.get_logger("tidewaiter.orphans")

_INTERVAL = timedelta(days=1)
_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Orphans:
    """
    Aborts multipart uploads below the archive folders of the triggers *moving*, at the start and once a day.

    Only those that are certainly ours and certainly dead (reliability.md §3.4, C13): begun more than *age* ago, to a
    key that the journal knows as a destination. Aborting twice does no harm.
    """

    journal: Journal
    connect: Connect
    moving: Callable[[], Iterable[BucketTrigger]]
    age: timedelta = _AGE

    async def step(self) -> timedelta | None:
        """Look at every archive folder once."""
        for spec in self.moving():
            try:
                await self._sweep(spec)
            except BucketError as error:
                # Not worth a loop's retries, nor the other folders: tomorrow is another day.
                _log.warning("uploads_not_listed", bucket=spec.bucket, error=error.message, hint=error.hint)
        return _INTERVAL

    async def _sweep(self, spec: BucketTrigger) -> None:
        async with self.connect(spec.connection(), spec.bucket) as bucket:
            for move_to in spec.destinations:
                await self._look_below(bucket, move_to.folder, move_to.bucket or spec.bucket)

    async def _look_below(self, bucket: Bucket, folder: str, name: str) -> None:
        async for upload in bucket.uploads(folder, bucket=name):
            if datetime.now(UTC) - upload.initiated > self.age:
                await self._abort(bucket, upload)

    async def _abort(self, bucket: Bucket, upload: MultipartUpload) -> None:
        if await self.journal.objects.bound_for(upload.bucket, upload.key):
            await bucket.abort_upload(upload)
            _log.info("upload_aborted", bucket=upload.bucket, key=upload.key, initiated=upload.initiated.isoformat())
