"""What describes an object on its way to a store: headers of PUT, of COPY, and of the start of a multipart upload."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from tidewaiter.triggers.aws.replies import METADATA
from tidewaiter.triggers.bucket import Encryption, ObjectProperties, Stored

Headers = Mapping[str, str | None]
"""Headers by their names in lower case; those that are None are left out."""


def describing(properties: ObjectProperties, like: Stored | None) -> Headers:
    """Give the headers of a new object that is to be as *like* was, and as *properties* say."""
    return {
        **_placed(properties),
        **_described(properties, like),
        "x-amz-tagging": _tagging(properties, like),
    }


def changing(properties: ObjectProperties, like: Stored | None) -> Headers:
    """
    Give the headers of a COPY. It keeps metadata and tags by itself; where *properties* add to one of them, S3 takes
    that set as a whole from the request, so what *like* has of it is sent along.
    """
    tags = {"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": _tagging(properties, like)}
    metadata = {"x-amz-metadata-directive": "REPLACE", **_described(properties, like)}
    return {
        **_placed(properties),
        **(tags if properties.tags else {}),
        **(metadata if properties.metadata else {}),
    }


def _placed(properties: ObjectProperties) -> Headers:
    encryption = properties.encryption or Encryption("")
    return {
        "x-amz-server-side-encryption": encryption.algorithm or None,
        "x-amz-server-side-encryption-aws-kms-key-id": encryption.kms_key_id,
        "x-amz-storage-class": properties.storage_class,
    }


def _described(properties: ObjectProperties, like: Stored | None) -> Headers:
    own = {name.lower(): value for name, value in ((like.metadata if like else None) or {}).items()}
    added = {name.lower(): value for name, value in properties.metadata.items()}
    return {
        "content-type": like.content_type if like else None,
        **((like.headers if like else None) or {}),
        **{f"{METADATA}{name}": value for name, value in (own | added).items()},
    }


def _tagging(properties: ObjectProperties, like: Stored | None) -> str | None:
    own = (like.tags if like else None) or {}
    return urlencode({**own, **properties.tags}, quote_via=quote, safe="") or None
