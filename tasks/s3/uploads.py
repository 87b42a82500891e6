"""The task Upload: stored files become objects."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from tidewaiter.config.connection import AwsConnection, MinioConnection
from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Text
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.objectstore import Headers, Written
from tidewaiter.tasks.s3.listing import Required, StoreSpec

_MULTIPLE = "name the files with a map of keys to URIs"


class UploadSpec(StoreSpec):
    """
    Stored files to upload: *from* is a URI, and *key* the key; or a list of URIs, or a map of names to URIs, also as
    JSON text, and *key* is the folder they go to. What is at a key is replaced.
    """

    bucket: Dynamic[Required]
    """The bucket."""
    key: Dynamic[Text]
    """The key; of several files, the folder."""
    from_: Annotated[Dynamic[dict[str, Text] | tuple[Text, ...] | Text], Field(alias="from")]
    """The URI of a file, a list of them, or a map of names to URIs."""
    content_type: Dynamic[Text | None] = None
    """The type of the content."""
    metadata: Dynamic[dict[str, Text] | None] = None
    """Metadata of the object."""

    @property
    def headers(self) -> Headers:
        """What describes the objects."""
        metadata = {f"x-amz-meta-{name.lower()}": value for name, value in (self.metadata or {}).items()}
        return {"content-type": self.content_type, **metadata}


class Upload(AwsConnection, UploadSpec):
    """
    Upload stored files (Kestra's documentation of ``aws.s3.Upload``). *checksum*, in base64, is what the store shall
    find with *checksum_algorithm*.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Upload",)
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**UploadSpec.IGNORED, "contentLength": "a stored file has its own length"}
    )

    cache_control: Dynamic[Text | None] = None
    """What caches may do with it."""
    content_encoding: Dynamic[Text | None] = None
    """How the content is encoded."""
    content_disposition: Dynamic[Text | None] = None
    """How a browser presents it."""
    content_language: Dynamic[Text | None] = None
    """The language of the content."""
    expires: Dynamic[Text | None] = None
    """Until when caches may keep it."""
    acl: Dynamic[Text | None] = None
    """A canned access list."""
    storage_class: Dynamic[Text | None] = None
    """The storage class."""
    server_side_encryption: Dynamic[Text | None] = None
    """How the store encrypts it."""
    kms_key_id: Dynamic[Text | None] = None
    """The key for that."""
    bucket_key_enabled: Dynamic[bool | None] = None
    """Use the bucket's key for that."""
    checksum_algorithm: Dynamic[Literal["SHA1", "SHA256", "CRC32", "CRC32C", "CRC32_C", "CRC64NVME"] | None] = None
    """How *checksum* is computed."""
    checksum: Dynamic[Text | None] = None
    """What the store shall find, in base64."""
    object_lock_mode: Dynamic[Text | None] = None
    """How it is locked."""
    object_lock_legal_hold_status: Dynamic[Text | None] = None
    """Whether it is under a legal hold."""
    object_lock_retain_until_date: Dynamic[Text | None] = None
    """Until when it is locked."""
    tagging: Dynamic[dict[str, Text] | None] = None
    """Tags of the object."""

    @property
    def headers(self) -> Headers:
        """What describes the objects, in the words of S3 PutObject."""
        algorithm = (self.checksum_algorithm or "").replace("_", "").lower()
        return {
            **super().headers,
            "cache-control": self.cache_control,
            "content-encoding": self.content_encoding,
            "content-disposition": self.content_disposition,
            "content-language": self.content_language,
            "expires": self.expires,
            "x-amz-acl": self.acl,
            "x-amz-storage-class": self.storage_class,
            "x-amz-server-side-encryption": _encryption(self.server_side_encryption),
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key_id,
            "x-amz-server-side-encryption-bucket-key-enabled": "true" if self.bucket_key_enabled else None,
            "x-amz-object-lock-mode": self.object_lock_mode,
            "x-amz-object-lock-legal-hold": self.object_lock_legal_hold_status,
            "x-amz-object-lock-retain-until-date": self.object_lock_retain_until_date,
            "x-amz-tagging": urlencode(self.tagging, quote_via=quote, safe="") if self.tagging else None,
            **({f"x-amz-checksum-{algorithm}": self.checksum} if algorithm and self.checksum else {}),
        }


class MinioUpload(MinioConnection, UploadSpec):
    """Upload stored files (Kestra's documentation of ``minio.Upload``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Upload",)


def _encryption(written: str | None) -> str | None:
    """Spell an algorithm as S3 does; Kestra also knows the names of its own enumeration."""
    return {"AWS_KMS": "aws:kms", "AWS_KMS_DSSE": "aws:kms:dsse", "NONE": None}.get(written or "", written)


async def run_upload(spec: Upload | MinioUpload, context: TaskContext) -> Result:
    """
    Do an `Upload` task: outputs ``bucket``, ``key``, ``eTag`` and ``versionId``; of several files ``bucket``, ``key``
    and ``files``, which has ``key``, ``eTag`` and ``versionId`` of each by its name.

    Raises:
        TaskError: there is nothing to upload, a file is missing, or two would get the same key.
    """
    source = _parsed(spec.from_)
    if isinstance(source, list | tuple) and len(source) == 1 and not spec.key.endswith("/"):
        source = str(source[0])  # a list of one is that one, unless the key is plainly a folder
    if isinstance(source, str):
        written = (await _uploaded(spec, {spec.key: source}, context))[spec.key]
        return Result(outputs={"bucket": spec.bucket, "key": spec.key, **_told(written)})
    named = _named(source)
    keys = {name: f"{spec.key.rstrip('/')}/{name}" if spec.key else name for name in named}
    written_by_key = await _uploaded(spec, {keys[name]: uri for name, uri in named.items()}, context)
    files = {name: {"key": key, **_told(written_by_key[key])} for name, key in keys.items()}
    return Result(outputs={"bucket": spec.bucket, "key": spec.key, "files": files})


def _parsed(source: Any) -> Any:
    """Read a list or map that an expression rendered as JSON text; a URI stays as it is."""
    if not isinstance(source, str) or not source.lstrip().startswith(("[", "{")):
        return source
    try:
        return json.loads(source)
    except ValueError as error:
        raise TaskError(f"property 'from' is neither a URI nor JSON: {error}") from error


def _named(source: Any) -> Mapping[str, str]:
    """Give the files by the names of their objects below the key."""
    if isinstance(source, Mapping):
        named = {str(name): str(uri) for name, uri in source.items()}
    else:
        named = {PurePosixPath(str(uri)).name: str(uri) for uri in source}
        if len(named) < len(source):
            raise TaskError("two of the files in 'from' have the same name and would get the same key", _MULTIPLE)
    if not named:
        raise TaskError("no files to upload: the 'from' property contains an empty collection or array", _MULTIPLE)
    return named


async def _uploaded(spec: UploadSpec, uris: Mapping[str, str], context: TaskContext) -> dict[str, Written]:
    """Upload the file behind each URI to its key; nothing is, unless all of them are there."""
    paths = {key: context.files.path(uri) for key, uri in uris.items()}
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        return {key: await bucket.put(path, key, spec.headers) for key, path in paths.items()}


def _told(written: Written) -> dict[str, str | None]:
    return {"eTag": written.etag, "versionId": written.version_id}
