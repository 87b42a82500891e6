"""
Tags of objects: what S3 takes for some, and ``action: TAG``, which leaves an object where it is and puts tags on it.

Like the steps in `settle` it is idempotent, and may run only when the content and its execution are durable here.
"""

import re
from collections.abc import Mapping

from tidewaiter.triggers.bucket import Bucket, BucketError, ObjectGoneError, Removal, S3Object

_MOST = 10
_NAME_LENGTH = 128
_VALUE_LENGTH = 256
_TEXT = re.compile(r"[\w +\-=.:/@]*")


def problem(tags: Mapping[str, str]) -> str | None:
    """Say what keeps S3 from taking *tags* (S3 "Categorizing your storage using tags"), None if nothing does."""
    if len(tags) > _MOST:
        return f"an object has at most {_MOST} tags, not {len(tags)}"
    for name, value in tags.items():
        if not 1 <= len(name) <= _NAME_LENGTH or len(value) > _VALUE_LENGTH:
            return (
                f"the tag {name[:40]!r} does not fit: a name has 1 to {_NAME_LENGTH} characters, "
                f"a value at most {_VALUE_LENGTH}"
            )
        if name.lower().startswith("aws:"):
            return f"the tag {name!r} is reserved: names that begin with 'aws:' are the store's own"
        if not _TEXT.fullmatch(name + value):
            return f"the tag {name[:40]!r} has a character other than letters, digits, spaces and + - = . _ : / @"
    return None


def merged(own: Mapping[str, str], added: Mapping[str, str], key: str) -> dict[str, str]:
    """
    Give the tags of the object at *key* with ours over its *own*.

    Raises:
        BucketError: that would be more than an object can have.
    """
    tags = {**own, **added}
    if len(tags) > _MOST:
        raise BucketError(
            f"cannot tag {key!r}: with its own it would have {len(tags)} tags, and an object has at most {_MOST}",
            "remove some of the object's own tags, or give fewer in 'tags'",
            cause="TooManyTags",
        )
    return tags


async def tag(bucket: Bucket, listed: S3Object, tags: Mapping[str, str]) -> Removal | None:
    """
    Put *tags* on exactly the content in custody, beside those it has; None if they are on it.

    Else the content is no longer at the key, and the answer is whether it was replaced or is gone. A version id is
    exact. Without one S3 has no condition for this call, so the content is looked at just before, and again after it:
    tags that hit the next content are taken off again, with what that may have had itself (it lost its own to our
    request). After a crash in that moment they stay on it, until it is tagged in its own turn.

    Raises:
        BucketError: the store refused, has no tags, or there would be too many.
    """
    # While versioning is suspended every upload is the version ``null``: it names no content.
    version = listed.version_id if listed.version_id != "null" else None
    try:
        wanted = merged(await bucket.tags(listed.key, version_id=version), tags, listed.key)
        if version:
            await bucket.set_tags(listed.key, wanted, version_id=version)
            return None
        if other := await _other_content(bucket, listed):
            return other
        await bucket.set_tags(listed.key, wanted)
        other = await _other_content(bucket, listed)
        if other is Removal.REPLACED:
            await bucket.set_tags(listed.key, {})
    except ObjectGoneError:
        return Removal.ALREADY_GONE
    return other


async def _other_content(bucket: Bucket, listed: S3Object) -> Removal | None:
    now = await bucket.head(listed.key)
    if now is None:
        return Removal.ALREADY_GONE
    return None if now.etag == listed.etag else Removal.REPLACED
