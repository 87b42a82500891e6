"""What has arrived for a trigger: scan a listing, leave out what is not meant, set aside what must not be touched."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tidewaiter.triggers.bucket import Bucket, S3Object
from tidewaiter.triggers.keys import basename, danger, is_probe, java_pattern
from tidewaiter.triggers.s3 import BucketTrigger, MoveTo, destination_watched, sees


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that the trigger means but must not act on, and why."""

    object: S3Object
    reason: str


@dataclass(frozen=True, slots=True)
class ScanPage:
    """
    One page of a listing: every object of it in key order, those the trigger is to take, and those set aside.

    *last* is true on the page that completes the listing: only then may what was never seen be forgotten.
    """

    listed: tuple[S3Object, ...]
    matching: tuple[S3Object, ...]
    refused: tuple[Refused, ...]
    last: bool


async def scan(bucket: Bucket, spec: BucketTrigger, *, page_size: int = 1000) -> AsyncIterator[ScanPage]:
    """
    List *bucket* for *spec*, page by page to the end, and sort what is there.

    ``maxKeys`` and ``maxFiles`` play no part: they say how many new objects make one execution (`batch_size`), and only
    the caller knows which are new (kestra.md D4, D5). Stop iterating to stop listing.

    Raises:
        BucketError: the listing failed; what was found before stays valid, but the listing is not complete.
    """
    pattern = java_pattern(spec.regexp) if spec.regexp else None
    async for page in bucket.list(spec.prefix, start_after=spec.marker, delimiter=spec.delimiter, page_size=page_size):
        meant = [listed for listed in page.objects if _means(spec, listed, pattern)]
        reasons = {listed.key: refusal(spec, listed) for listed in meant}
        yield ScanPage(
            listed=page.objects,
            matching=tuple(listed for listed in meant if reasons[listed.key] is None),
            refused=tuple(Refused(listed, reason) for listed in meant if (reason := reasons[listed.key])),
            last=page.last,
        )


def matches(spec: BucketTrigger, listed: S3Object) -> bool:
    """Tell whether *spec* means *listed*: by filter and regular expression, and as it is not the trigger's own work."""
    return _means(spec, listed, java_pattern(spec.regexp) if spec.regexp else None)


def _means(spec: BucketTrigger, listed: S3Object, pattern: re.Pattern[str] | None) -> bool:
    if not _passes_filter(spec, listed) or (pattern and not pattern.fullmatch(listed.key)):
        return False
    return not is_probe(listed.key) and not _was_moved(spec, listed.key)


def _passes_filter(spec: BucketTrigger, listed: S3Object) -> bool:
    directory = listed.key.endswith("/")
    if spec.filter == "BOTH":
        return not is_folder_marker(listed)
    return directory is (spec.filter == "DIRECTORY")


def is_folder_marker(listed: S3Object) -> bool:
    """Tell whether *listed* is only there to make a folder appear in a console."""
    return listed.size == 0 and listed.key.endswith("/")


def _was_moved(spec: BucketTrigger, key: str) -> bool:
    """Tell whether *key* lies where *spec* moves objects to, inside the prefix it watches."""
    return any(
        move_to.folder and destination_watched(spec, move_to) and key.startswith(move_to.folder)
        for move_to in spec.destinations
    )


def refusal(spec: BucketTrigger, listed: S3Object) -> str | None:
    """Say why *spec* must not move or delete *listed* (reliability.md §2.3), None if it may."""
    if not spec.removes:
        return None
    if is_folder_marker(listed):
        return "it is a folder marker"
    return danger(listed.key) or (_no_destination(spec, listed) if spec.action == "MOVE" else None)


def _no_destination(spec: BucketTrigger, listed: S3Object) -> str | None:
    if not basename(listed.key):
        return "its key ends with a slash, so it has no name at the destination"
    bucket, key = destination(spec, listed)
    if len(key.encode(errors="surrogatepass")) > 1024:
        return "its key at the destination would be longer than 1024 bytes"
    if bucket == listed.bucket and key == listed.key:
        return "it would be moved onto itself"
    if bucket == listed.bucket and sees(spec, key) and not _was_moved(spec, key):
        return "its destination would be found again by the trigger"
    return None


def destination(spec: BucketTrigger, listed: S3Object, move_to: MoveTo | None = None) -> tuple[str, str]:
    """
    Give bucket and key *listed* moves to: the folder ``moveTo.key`` and the object's name (kestra.md D1, D13).
    *move_to* is another destination than the action's: an outcome's.

    With ``preservePath`` the name keeps the folders below the folder of ``prefix``: with ``prefix: raw/`` the object
    ``raw/a/x.csv`` becomes ``archive/a/x.csv``, without it ``archive/x.csv``.

    Raises:
        ValueError: *spec* does not move.
    """
    move_to = move_to or spec.move_to
    if move_to is None:
        raise ValueError("only a trigger with 'moveTo' has a destination")
    watched_folder = spec.prefix[: spec.prefix.rfind("/") + 1]
    name = listed.key.removeprefix(watched_folder) if spec.preserve_path else basename(listed.key)
    return move_to.bucket or spec.bucket, move_to.folder + name
