"""Calls that name a key, and mean whatever is there: what the tasks of flows ask of a store."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tidewaiter.triggers.aws.address import DEFAULT_REGION
from tidewaiter.triggers.aws.bodies import chunks
from tidewaiter.triggers.aws.bucket import S3Bucket
from tidewaiter.triggers.aws.errors import Call, s3_name, translated
from tidewaiter.triggers.aws.headers import Headers
from tidewaiter.triggers.aws.multipart import Target
from tidewaiter.triggers.aws.replies import head_of, stored_as
from tidewaiter.triggers.aws.wire import NO_BODY, Body, Request
from tidewaiter.triggers.bucket import (
    DestinationExistsError,
    Encryption,
    ObjectGoneError,
    ObjectProperties,
    Removal,
    S3Object,
    Stored,
    Written,
)
from tidewaiter.triggers.download import save

_CHECKSUM = "x-amz-checksum-"
_ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
_UNKNOWN = datetime.fromtimestamp(0, UTC)
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A downloaded object, and the *checksums* that the store keeps of it, by algorithm in upper case, in base64."""

    stored: Stored
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Removed:
    """What the store said of an unconditional DELETE."""

    version_id: str | None = None
    delete_marker: bool | None = None
    request_charged: str | None = None


class PlainBucket(S3Bucket):
    """One bucket for the tasks of flows. Raises as `Bucket` does."""

    async def fetch(
        self, key: str, destination: Path, *, version_id: str | None = None, etag: str | None = None
    ) -> Fetched:
        """
        Download what is at *key* to *destination*, which is complete and fsynced on return and absent after a failure.

        Raises:
            ObjectGoneError: there is no such object or version.
            ObjectChangedError: it is not the content with *etag*.
        """
        call = Call(f"read {s3_name(self.name, key)}", "s3:GetObject")
        headers = {"if-match": f'"{etag}"' if etag else None, "x-amz-checksum-mode": "ENABLED"}
        request = Request(call, "GET", self.name, key, query={"versionId": version_id}, headers=headers)
        async with await self._open(request) as response:
            taken = await save(chunks(response, call), destination)
        told = response.headers
        checksums = {name.upper(): told[_CHECKSUM + name] for name in _ALGORITHMS if _CHECKSUM + name in told}
        return Fetched(stored_as(told, taken.size, taken.sha256), checksums)

    async def put(self, source: Path, key: str, headers: Headers) -> Written:
        """Store the local file at *key*, in place of what is there; *headers* describe the object."""
        if (await asyncio.to_thread(source.stat)).st_size > self._sizes.upload_part:
            # A checksum of the whole means nothing to an upload in parts; each part is signed with its own.
            headers = {name: value for name, value in headers.items() if not name.startswith(_CHECKSUM)}
        return await self._put(source, Target(self.name, key), headers)

    async def copy_as(
        self, key: str, bucket: str, new_key: str, *, version_id: str | None = None, headers: Headers | None = None
    ) -> str:
        """Copy what is at *key* to *bucket*/*new_key*, in place of what is there, and give the copy's ETag."""
        source = await self._now(key, version_id)
        return await self.copy(source, bucket, new_key, properties=_properties(headers or {}), overwrite=True)

    async def move_as(self, key: str, etag: str, bucket: str, new_key: str, headers: Headers | None = None) -> None:
        """
        Move the content with *etag* from *key* to *bucket*/*new_key*; repeating it after it broke off is harmless.

        Raises:
            DestinationExistsError: another content is there.
            ObjectChangedError: *key* holds other content now.
        """
        source = replace(await self._now(key), etag=etag)
        there = await self.head(new_key, bucket=bucket)
        if (bucket, new_key) == (self.name, key) or (there and (there.etag, there.size) != (etag, source.size)):
            raise DestinationExistsError(
                f"cannot move {s3_name(self.name, key)} to {s3_name(bucket, new_key)}: there is an object already",
                "choose another destination, or take that object away",
            )
        if there is None:
            await self.copy(source, bucket, new_key, properties=_properties(headers or {}))
        await self.discard(key, etag)

    async def discard(self, key: str, etag: str) -> bool:
        """Remove the content with *etag* from *key*; tells whether it is gone, other content stays."""
        meant = S3Object(self.name, key, etag, 0, _UNKNOWN)
        return await self.delete(meant) is not Removal.REPLACED

    async def remove(self, key: str, headers: Headers | None = None) -> Removed:
        """Remove whatever is at *key*. Idempotent."""
        call = Call(f"delete {s3_name(self.name, key)}", "s3:DeleteObject")
        told = (await self._write(Request(call, "DELETE", self.name, key, headers=headers or {}))).headers
        marker = told.get("x-amz-delete-marker")
        return Removed(
            told.get("x-amz-version-id"), marker == "true" if marker else None, told.get("x-amz-request-charged")
        )

    async def create(self, headers: Headers | None = None) -> str | None:
        """Create the bucket in the connection's region and give where the store says it is."""
        call = Call(f"create {s3_name(self.name)}", "s3:CreateBucket")
        region = self._connection.region or DEFAULT_REGION
        body = NO_BODY if region == DEFAULT_REGION else _located(region)
        reply = await self._write(Request(call, "PUT", self.name, headers=headers or {}, body=body))
        return reply.headers.get("Location")

    async def exists(self) -> bool:
        """Tell whether there is such a bucket that these credentials may use."""
        try:
            await self._read(Request(Call(f"look at {s3_name(self.name)}", "s3:ListBucket"), "HEAD", self.name))
        except ObjectGoneError:
            return False
        return True

    async def _now(self, key: str, version_id: str | None = None) -> S3Object:
        """Ask what is at *key*. Raises `ObjectGoneError` if there is nothing."""
        call = Call(f"look at {s3_name(self.name, key)}", "s3:GetObject and s3:ListBucket")
        reply = await self._read(Request(call, "HEAD", self.name, key, query={"versionId": version_id}))
        with translated(call):
            head = head_of(reply.headers)
        return S3Object(self.name, key, head.etag, head.size, head.last_modified, version_id)


def _properties(headers: Headers) -> ObjectProperties:
    algorithm = headers.get("x-amz-server-side-encryption")
    key = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    return ObjectProperties(Encryption(algorithm, key) if algorithm else None)


def _located(region: str) -> Body:
    """Name the region of a new bucket; the first one of AWS must not be named."""
    place = f"<LocationConstraint>{region}</LocationConstraint>"
    data = f'<CreateBucketConfiguration xmlns="{_NAMESPACE}">{place}</CreateBucketConfiguration>'.encode()
    return Body(data, hashlib.sha256(data).hexdigest())
