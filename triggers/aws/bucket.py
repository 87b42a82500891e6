"""`Bucket` on aiobotocore. What each method promises is said in `triggers.bucket`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from tidewaiter.triggers.aws.errors import Call, s3_name, translated
from tidewaiter.triggers.aws.multipart import Target, Upload, confirmed_etag, part_ranges
from tidewaiter.triggers.bucket import (
    BucketError,
    BucketUnavailableError,
    Capabilities,
    Connection,
    DestinationExistsError,
    Encryption,
    Head,
    ObjectChangedError,
    ObjectGoneError,
    Page,
    Removal,
    S3Object,
    Stored,
)
from tidewaiter.triggers.download import digest, save
from tidewaiter.triggers.probe import probe

_CHUNK = 1 << 20
_COPIED_PROPERTIES = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Metadata",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """
    Two clients for one connection: *reading* repeats failed requests by itself, *writing* never does.

    A repeat after a lost reply would turn the success of a conditional request into a 404 or 412 (reliability.md §2.1
    "retries").
    """

    reading: Any
    writing: Any


@dataclass(frozen=True, slots=True)
class PartSizes:
    """
    When a content goes in several requests, in bytes: S3 copies at most 5 GB in one, and parts are at least 5 MiB.

    An upload of more than *upload_part* is sent in parts, so that only a few of them are in memory.
    """

    copy_whole: int = 5 * 1024**3
    copy_part: int = 512 * 1024**2
    upload_part: int = 16 * 1024**2


class S3Bucket:
    """One bucket of a store that speaks S3. *clients* gives the pair to use; it is asked at every call."""

    def __init__(
        self, name: str, connection: Connection, clients: Callable[[], Awaitable[Pair]], sizes: PartSizes = PartSizes()
    ) -> None:
        self.name = name
        self._clients = clients
        self._sizes = sizes
        self._owner = connection.expected_bucket_owner
        self._payer = "requester" if connection.requester_pays else None
        self._server = ""

    async def list(
        self, prefix: str, *, start_after: str | None = None, delimiter: str | None = None, page_size: int = 1000
    ) -> AsyncIterator[Page]:
        """Give the objects below *prefix* page by page."""
        call = Call(f"list {s3_name(self.name, prefix)}", "s3:ListBucket")
        token, last = None, False
        while not last:
            answer = await self._read(
                call,
                "list_objects_v2",
                Prefix=prefix,
                Delimiter=delimiter,
                MaxKeys=page_size,
                ContinuationToken=token,
                StartAfter=None if token else start_after,
            )
            with translated(call):
                # Any other XML than a listing lacks these; it must never pass for a complete, empty one.
                last = not answer["IsTruncated"]
                token = None if last else answer["NextContinuationToken"]
                objects = tuple(_listed(self.name, entry) for entry in answer.get("Contents", ()))
            yield Page(objects, last)

    async def read(self, listed: S3Object, destination: Path) -> Stored:
        """Download exactly the listed content to *destination*."""
        call = self._reading(listed.key)
        answer = await self._read(
            call, "get_object", Key=listed.key, IfMatch=_quoted(listed.etag), VersionId=listed.version_id
        )
        async with answer["Body"] as body:
            if _etag(answer) != listed.etag:
                raise ObjectChangedError(
                    f"cannot {call.does}: the store gave other content than the one listed", cause="ETag"
                )
            taken = await save(_chunks(body, answer.get("ContentLength", listed.size), call), destination)
        return _stored(answer, taken.size, taken.sha256)

    async def head(self, key: str, *, bucket: str | None = None) -> Head | None:
        """Ask for the current object at *key*."""
        call = Call(f"look at {s3_name(bucket or self.name, key)}", "s3:GetObject and s3:ListBucket")
        try:
            answer = await self._read(call, "head_object", bucket=bucket, Key=key)
        except ObjectGoneError:
            return None
        with translated(call):
            return _head(answer)

    async def copy(
        self, source: S3Object, bucket: str, key: str, *, encryption: Encryption | None = None, overwrite: bool = False
    ) -> str:
        """Copy exactly the listed content to *bucket*/*key*."""
        call = Call(
            f"copy {s3_name(self.name, source.key)} to {s3_name(bucket, key)}",
            "s3:GetObject on the source and s3:PutObject on the destination",
        )
        target = Target(bucket, key, None if overwrite else "*")
        if source.size > self._sizes.copy_whole:
            return await self._copy_in_parts(call, source, target, encryption)
        try:
            answer = await self._write(
                call,
                "copy_object",
                target,
                **self._source(source),
                **_encrypted(encryption),
                IfNoneMatch=target.if_none_match,
            )
        except ObjectChangedError as error:
            raise await self._why_not_copied(source, error) from error
        return confirmed_etag(answer.get("CopyObjectResult", {}), call)

    async def upload(
        self,
        source: Path,
        bucket: str,
        key: str,
        *,
        encryption: Encryption | None = None,
        overwrite: bool = False,
        like: Stored | None = None,
    ) -> str | None:
        """Store the local file at *bucket*/*key*."""
        call = Call(f"upload to {s3_name(bucket, key)}", "s3:PutObject")
        target = Target(bucket, key, None if overwrite else "*")
        properties = {**_encrypted(encryption), **_described(like)}
        size = (await asyncio.to_thread(source.stat)).st_size
        try:
            if size > self._sizes.upload_part:
                return await self._upload_in_parts(call, source, target, size=size, properties=properties)
            body = await asyncio.to_thread(source.read_bytes)
            answer = await self._write(
                call, "put_object", target, Body=body, IfNoneMatch=target.if_none_match, **properties
            )
        except ObjectChangedError as error:
            raise DestinationExistsError(error.message, error.hint, cause=error.cause) from error
        return _etag(answer) or None

    async def download_digest(self, bucket: str, key: str) -> Stored:
        """Read *bucket*/*key* to the end without keeping it."""
        call = Call(f"read {s3_name(bucket, key)}", "s3:GetObject")
        answer = await self._read(call, "get_object", bucket=bucket, Key=key)
        async with answer["Body"] as body:
            taken = await digest(_chunks(body, answer.get("ContentLength", 0), call))
        return _stored(answer, taken.size, taken.sha256)

    async def delete(self, listed: S3Object) -> Removal:
        """Remove exactly the listed content."""
        does = f"delete {s3_name(self.name, listed.key)}"
        exact = {"VersionId": listed.version_id} if listed.version_id else {"IfMatch": _quoted(listed.etag)}
        needs = "s3:DeleteObjectVersion" if listed.version_id else "s3:DeleteObject and s3:GetObject"
        try:
            await self._write(Call(does, needs), "delete_object", Target(self.name, listed.key), **exact)
        except ObjectChangedError:
            return Removal.REPLACED
        except ObjectGoneError:
            return Removal.ALREADY_GONE
        return Removal.REMOVED

    async def delete_unconditionally(self, key: str) -> None:
        """Remove whatever is at *key*."""
        call = Call(f"delete {s3_name(self.name, key)}", "s3:DeleteObject")
        await self._write(call, "delete_object", Target(self.name, key))

    async def versioning(self) -> bool:
        """Tell whether the bucket keeps versions."""
        call = Call(f"read the versioning of {s3_name(self.name)}", "s3:GetBucketVersioning")
        pair = await self._clients()
        with translated(call):
            answer = await pair.reading.get_bucket_versioning(
                **_given(Bucket=self.name, ExpectedBucketOwner=self._owner)
            )
        return bool(answer.get("Status") == "Enabled")

    async def probe(self, scratch_prefix: str) -> Capabilities:
        """Find out which conditions the store honours."""
        return replace(await probe(self, scratch_prefix), server=self._server)

    def _reading(self, key: str) -> Call:
        return Call(f"read {s3_name(self.name, key)}", "s3:GetObject")

    async def _read(
        self, call: Call, operation: str, *, bucket: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        pair = await self._clients()
        return await self._send(pair.reading, call, operation, bucket=bucket or self.name, parameters=parameters)

    async def _write(self, call: Call, operation: str, target: Target, **parameters: Any) -> dict[str, Any]:
        pair = await self._clients()
        named = {"Key": target.key, **parameters}
        return await self._send(pair.writing, call, operation, bucket=target.bucket, parameters=named)

    async def _send(
        self, client: Any, call: Call, operation: str, *, bucket: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Send one request; parameters that are None are left out, the owner is only claimed for our own bucket."""
        owner = self._owner if bucket == self.name else None
        with translated(call):
            answer: dict[str, Any] = await getattr(client, operation)(
                **_given(Bucket=bucket, RequestPayer=self._payer, ExpectedBucketOwner=owner, **parameters)
            )
        self._server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", self._server)
        return answer

    def _source(self, source: S3Object) -> dict[str, Any]:
        named = _given(Bucket=self.name, Key=source.key, VersionId=source.version_id)
        return {
            "CopySource": named,
            "CopySourceIfMatch": _quoted(source.etag),
            "ExpectedSourceBucketOwner": self._owner,
        }

    async def _why_not_copied(self, source: S3Object, refusal: BucketError) -> BucketError:
        """Find out which of the two conditions of a copy failed: 412 does not say it on every store."""
        now = None if source.version_id else await self.head(source.key)
        if source.version_id or (now and now.etag == source.etag):
            return DestinationExistsError(refusal.message, refusal.hint, cause=refusal.cause)
        kind = ObjectChangedError if now else ObjectGoneError
        return kind(refusal.message, refusal.hint, cause=refusal.cause)

    async def _copy_in_parts(self, call: Call, source: S3Object, target: Target, encryption: Encryption | None) -> str:
        described = await self._read(call, "head_object", Key=source.key, VersionId=source.version_id)
        properties = {name: described[name] for name in _COPIED_PROPERTIES if described.get(name)}
        upload = Upload(call, target, self._write)
        condition = self._source(source)

        async def send(number: int, first: int, last: int) -> str:
            part = await upload.send("upload_part_copy", number, CopySourceRange=f"bytes={first}-{last}", **condition)
            return str(part["CopyPartResult"]["ETag"])

        return await upload.run(
            part_ranges(source.size, self._sizes.copy_part), send, {**properties, **_encrypted(encryption)}
        )

    async def _upload_in_parts(
        self, call: Call, source: Path, target: Target, *, size: int, properties: Mapping[str, Any]
    ) -> str:
        upload = Upload(call, target, self._write)

        async def send(number: int, first: int, last: int) -> str:
            body = await asyncio.to_thread(_slice, source, first, last)
            return str((await upload.send("upload_part", number, Body=body))["ETag"])

        return await upload.run(part_ranges(size, self._sizes.upload_part), send, properties)


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _listed(bucket: str, entry: Mapping[str, Any]) -> S3Object:
    return S3Object(
        bucket=bucket,
        key=entry["Key"],
        etag=_etag(entry),
        size=entry["Size"],
        storage_class=entry.get("StorageClass"),
        last_modified=entry["LastModified"].astimezone(UTC),
    )


def _head(answer: Mapping[str, Any]) -> Head:
    return Head(
        etag=_etag(answer),
        size=answer["ContentLength"],
        last_modified=answer["LastModified"].astimezone(UTC),
        version_id=answer.get("VersionId"),
        metadata=answer.get("Metadata"),
    )


def _stored(answer: Mapping[str, Any], size: int, sha256: str) -> Stored:
    return Stored(
        size=size,
        sha256=sha256,
        etag=_etag(answer),
        version_id=answer.get("VersionId"),
        content_type=answer.get("ContentType"),
        metadata=answer.get("Metadata"),
    )


def _encrypted(encryption: Encryption | None) -> dict[str, Any]:
    if encryption is None:
        return {}
    return _given(ServerSideEncryption=encryption.algorithm, SSEKMSKeyId=encryption.kms_key_id)


def _described(like: Stored | None) -> dict[str, Any]:
    return _given(ContentType=like.content_type, Metadata=like.metadata) if like else {}


def _slice(source: Path, first: int, last: int) -> bytes:
    with source.open("rb") as file:
        file.seek(first)
        return file.read(last - first + 1)


async def _chunks(body: Any, announced: int, call: Call) -> AsyncIterator[bytes]:
    """Give the body in pieces; a body that ends early is an error, whatever the HTTP library thinks of it."""
    taken = 0
    while True:
        with translated(call):
            chunk: bytes = await body.read(_CHUNK)
        if not chunk:
            break
        taken += len(chunk)
        yield chunk
    if taken != announced:
        raise BucketUnavailableError(
            f"cannot {call.does}: the body ended after {taken} of {announced} bytes",
            "the next attempt reads it anew",
            cause="IncompleteBody",
        )
