"""The odd keys that a probe writes to see whether they come back as they are (reliability.md §2.3)."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from tidewaiter.triggers.bucket import Bucket, BucketError

_LONGEST = 1024
_PART = 200

_ODD: Mapping[str, str] = {
    "'+', '%2B' and letters beyond ASCII": "a+b%2Bcé",
    "'//'": "a//b",
    "'/../'": "a/../b",
    "control characters": "a\nb",
}


def odd_keys(folder: str) -> dict[str, str]:
    """
    Give a key of each odd kind, by the kind in words. All are below *folder*, and stay so where ``..`` is resolved on
    the way (reliability.md §2.3); the longest has 1024 bytes in parts that file systems take.
    """
    room = _LONGEST - len(folder.encode())
    long = "/".join("k" * _PART for _ in range(room // (_PART + 1) + 1))[:room].rstrip("/").ljust(room, "k")
    return {kind: f"{folder}{name}" for kind, name in _ODD.items()} | {f"{_LONGEST} bytes": f"{folder}{long}"}


async def write(bucket: Bucket, keys: Collection[str], content: Path) -> set[str]:
    """
    Store *content* at each of *keys*, and give those that the store took. What may be there in spite of an error, as
    after a lost reply, is for the next probe to remove.
    """
    taken = await asyncio.gather(*(_takes(bucket, key, content) for key in keys))
    return {key for key, took in zip(keys, taken, strict=True) if took}


async def _takes(bucket: Bucket, key: str, content: Path) -> bool:
    try:
        await bucket.upload(content, bucket.name, key, overwrite=True)
    except BucketError:
        # Some stores answer 500 to a key that is too long for them, so that is no reason to try again either.
        return False
    return True
