"""Find out what a store really does, with objects of our own (reliability.md §2.2); a mere 204 proves nothing."""

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    BucketUnavailableError,
    Capabilities,
    DestinationExistsError,
    ObjectChangedError,
    Removal,
    S3Object,
)
from tidewaiter.triggers.keys import PROBE_MARK, is_probe
from tidewaiter.triggers.memory import in_memory
from tidewaiter.triggers.roundtrip import odd_keys, write

_OTHER_ETAG = "0123456789abcdef0123456789abcdef"
_LEFT_OVER = timedelta(hours=1)


async def probe(bucket: Bucket, scratch_prefix: str, *, left_over: timedelta = _LEFT_OVER) -> Capabilities:
    """
    Try each condition on objects named ``<scratch_prefix>.tidewaiter-probe-<random>``, and remove them whatever
    happens. What a probe that was killed left there longer than *left_over* ago, by the store's clock, is removed, too.

    Any answer but the expected one makes a capability absent and is told in *detail*. On a versioned bucket the
    condition on DELETE is tried by the delete markers that it lets through.

    Raises:
        BucketError: the probe objects cannot be made or removed; *cause* ``AccessDenied`` where that is not allowed.
        BucketUnavailableError: the store cannot be asked now.
    """
    key = f"{scratch_prefix}{PROBE_MARK}{secrets.token_hex(8)}"
    with in_memory(key) as content:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(_clean, bucket, key)
            undo.push_async_callback(_clean, bucket, _twin(key))
            await _first_upload(bucket, content, key, undo)
            return await _Probe(bucket, await _look(bucket, key), content, scratch_prefix).run(left_over)


async def _first_upload(bucket: Bucket, content: Path, key: str, undo: AsyncExitStack) -> None:
    """Store the sample. Where the store refuses it there is nothing to clean up, and its reason is the one to tell."""
    try:
        await bucket.upload(content, bucket.name, key)
    except BucketUnavailableError:
        raise
    except DestinationExistsError:
        return  # the name is random, so it is our own: stored, though the reply was lost
    except BucketError:
        undo.pop_all()
        raise


def _twin(key: str) -> str:
    return f"{key}-copy"


async def _look(bucket: Bucket, key: str) -> S3Object:
    head = await bucket.head(key)
    if head is None:
        raise BucketError(
            f"the object {key!r} is not there after its upload", "this store cannot be used", cause="NotConsistent"
        )
    return S3Object(bucket.name, key, head.etag, head.size, head.last_modified, head.version_id)


async def _clean(bucket: Bucket, key: str) -> bool:
    """Remove a probe object, its only version where versions are kept; tells whether it was there."""
    head = await bucket.head(key)
    if head and head.version_id:
        await bucket.delete(S3Object(bucket.name, key, head.etag, head.size, head.last_modified, head.version_id))
    elif head:
        await bucket.delete_unconditionally(key)
    return head is not None


class _Probe:
    """
    The questions put to one bucket about *sample*, an object of our own below *scratch_prefix* with the content of the
    file *content*.
    """

    def __init__(self, bucket: Bucket, sample: S3Object, content: Path, scratch_prefix: str) -> None:
        self._bucket = bucket
        self._sample = sample
        self._changed = replace(sample, etag=_OTHER_ETAG)
        self._content = content
        self._scratch = scratch_prefix
        self._seen: list[str] = []

    async def run(self, left_over: timedelta) -> Capabilities:
        """Put every question once; the deletes come last, since they end the sample."""
        versioning = await self._keeps_versions()
        source = await self._checks_source()
        destination = await self._checks_destination()
        keys = await self._lost_keys(left_over)
        delete = await (self._checks_marking() if versioning else self._checks_delete())
        return Capabilities(
            delete_if_match=delete,
            copy_source_if_match=source,
            copy_if_none_match=destination,
            versioning=versioning,
            detail="; ".join(self._seen),
            keys=keys,
        )

    async def _keeps_versions(self) -> bool:
        try:
            return await self._bucket.versioning()
        except BucketUnavailableError:
            raise
        except BucketError as error:
            return self._absent(error.message)

    async def _checks_source(self) -> bool:
        bucket, key = self._bucket, _twin(self._sample.key)
        # Without the version id: it would pin the source by itself, and the condition would not be seen at work.
        changed = replace(self._changed, version_id=None)
        return await self._refuses("COPY of other content", bucket.copy(changed, bucket.name, key), ObjectChangedError)

    async def _checks_destination(self) -> bool:
        bucket, sample = self._bucket, self._sample
        try:
            await bucket.copy(sample, bucket.name, _twin(sample.key), overwrite=True)
        except BucketUnavailableError:
            raise
        except BucketError as error:
            return self._absent(error.message)
        copied = await self._refuses(
            "COPY onto an object", bucket.copy(sample, bucket.name, _twin(sample.key)), DestinationExistsError
        )
        uploaded = await self._refuses(
            "PUT onto an object", bucket.upload(self._content, bucket.name, sample.key), DestinationExistsError
        )
        return copied and uploaded

    async def _lost_keys(self, left_over: timedelta) -> tuple[str, ...]:
        """
        Give the kinds of odd keys that a listing does not show as they were written, or that are not found by the name
        shown. The same listing shows what killed probes left.
        """
        # Not below the sample itself: a store that keeps files cannot have one of the name of a folder.
        keys = odd_keys(f"{self._sample.key}-keys/")
        written = await write(self._bucket, keys.values(), self._content)
        try:
            listed = await self._listed()
        finally:
            removed = await asyncio.gather(*(_clean(self._bucket, key) for key in written))
        await self._remove_old(listed, left_over)
        found = {key for key, there in zip(written, removed, strict=True) if there} & {shown.key for shown in listed}
        lost = tuple(kind for kind, key in keys.items() if key not in found)
        if lost:
            self._seen.append(f"keys that do not come back as written: {', '.join(lost)}")
        return lost

    async def _remove_old(self, listed: list[S3Object], left_over: timedelta) -> None:
        limit = self._sample.last_modified - left_over
        for old in listed:
            if is_probe(old.key) and not old.key.startswith(self._sample.key) and old.last_modified < limit:
                try:
                    await _clean(self._bucket, old.key)
                except BucketError as error:
                    # Others' credentials may have left it, or a lock may hold it: no reason not to work here.
                    self._absent(error.message)

    async def _listed(self) -> list[S3Object]:
        try:
            pages = [page async for page in self._bucket.list(f"{self._scratch}{PROBE_MARK}")]
        except BucketUnavailableError:
            raise
        except BucketError as error:
            self._absent(error.message)
            return []
        return [listed for page in pages for listed in page.objects]

    async def _checks_marking(self) -> bool:
        """Try the condition on DELETE without a version: each marker that it lets through is removed at once."""
        for listed, expected in ((self._changed, Removal.REPLACED), (self._sample, Removal.REMOVED)):
            try:
                marking = await self._bucket.mark_deleted(listed)
            except BucketUnavailableError:
                raise
            except BucketError as error:
                return self._absent(error.message)
            if marking.marker:
                await self._bucket.delete(replace(self._sample, version_id=marking.marker))
            if marking.removal is not expected or bool(marking.marker) is (expected is Removal.REPLACED):
                return self._absent(f"DELETE If-Match of a version answered '{marking.removal.value}'")
        return True

    async def _checks_delete(self) -> bool:
        for listed, expected, stays in (
            (self._changed, {Removal.REPLACED}, True),
            # Gone already: it was removed by a request whose reply was lost.
            (self._sample, {Removal.REMOVED, Removal.ALREADY_GONE}, False),
        ):
            try:
                removal = await self._bucket.delete(listed)
            except BucketUnavailableError:
                raise
            except BucketError as error:
                return self._absent(error.message)
            there = await self._bucket.head(listed.key) is not None
            if removal not in expected or there is not stays:
                return self._absent(
                    f"DELETE If-Match answered '{removal.value}', object {'still there' if there else 'gone'}"
                )
        return True

    async def _refuses(self, what: str, call: Awaitable[object], refusal: type[BucketError]) -> bool:
        try:
            await call
        except refusal:
            return True
        except BucketUnavailableError:
            raise
        except BucketError as error:
            return self._absent(f"{what}: {error.message}")
        return self._absent(f"{what} was not refused")

    def _absent(self, seen: str) -> bool:
        self._seen.append(seen)
        return False
