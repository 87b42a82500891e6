"""`Bucket` over signed HTTP requests. What each method promises is said in `triggers.bucket`."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from tidewaiter.triggers.aws.address import quoted
from tidewaiter.triggers.aws.errors import Call, s3_name, translated
from tidewaiter.triggers.aws.multipart import Target, Upload, confirmed_etag, part_ranges
from tidewaiter.triggers.aws.replies import (
    METADATA,
    NotS3Error,
    date_of,
    etag_of,
    head_of,
    listing,
    metadata_of,
    stored_as,
)
from tidewaiter.triggers.aws.wire import READ_ATTEMPTS, Body, Reply, Request, Wire
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
_PROBE_ATTEMPTS = 6
_COPIED_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type")

Headers = Mapping[str, str | None]


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
    """
    One bucket of a store that speaks S3. *wire* gives what to send with; it is asked at every call. With *attempts*
    every request is sent up to that often, writes included: harmless only where all that is written is our own.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        wire: Callable[[], Awaitable[Wire]],
        sizes: PartSizes = PartSizes(),
        *,
        attempts: int | None = None,
    ) -> None:
        self.name = name
        self.server = ""
        self._connection = connection
        self._attempts = attempts
        self._wire = wire
        self._sizes = sizes
        self._owner = connection.expected_bucket_owner
        self._payer = "requester" if connection.requester_pays else None

    async def list(
        self, prefix: str, *, start_after: str | None = None, delimiter: str | None = None, page_size: int = 1000
    ) -> AsyncIterator[Page]:
        """Give the objects below *prefix* page by page."""
        call = Call(f"list {s3_name(self.name, prefix)}", "s3:ListBucket")
        asked = {
            "list-type": "2",
            "encoding-type": "url",
            "prefix": prefix,
            "delimiter": delimiter,
            "max-keys": str(page_size),
        }
        token, last = None, False
        while not last:
            place = {"continuation-token": token} if token else {"start-after": start_after}
            reply = await self._read(Request(call, "GET", self.name, query={**asked, **place}))
            document = reply.document(call, "Contents")
            with translated(call):
                page = listing(document, self.name)
            token, last = page.token, page.token is None
            yield Page(page.objects, last, date_of(reply.headers))

    async def read(self, listed: S3Object, destination: Path) -> Stored:
        """Download exactly the listed content to *destination*."""
        call = Call(f"read {s3_name(self.name, listed.key)}", "s3:GetObject")
        async with await self._open(
            Request(
                call,
                "GET",
                self.name,
                listed.key,
                query={"versionId": listed.version_id},
                headers={"if-match": f'"{listed.etag}"'},
            )
        ) as response:
            if etag_of(response.headers) != listed.etag:
                raise ObjectChangedError(
                    f"cannot {call.does}: the store gave other content than the one listed", cause="ETag"
                )
            taken = await save(_chunks(response, call), destination)
        return stored_as(response.headers, taken.size, taken.sha256)

    async def head(self, key: str, *, bucket: str | None = None) -> Head | None:
        """Ask for the current object at *key*."""
        name = bucket or self.name
        call = Call(f"look at {s3_name(name, key)}", "s3:GetObject and s3:ListBucket")
        try:
            reply = await self._read(Request(call, "HEAD", name, key))
        except ObjectGoneError:
            return None
        with translated(call):
            return head_of(reply.headers)

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
        headers = {"if-none-match": target.if_none_match, **_encrypted(encryption), **self._source(call, source)}
        try:
            reply = await self._write(Request(call, "PUT", bucket, key, headers=headers))
        except ObjectChangedError as error:
            raise await self._why_not_copied(source, error) from error
        return confirmed_etag(reply, call)

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
        if size > self._sizes.upload_part:
            return await self._upload_in_parts(call, source, target, size=size, properties=properties)
        headers = {"if-none-match": target.if_none_match, **properties}
        body = await asyncio.to_thread(_content, source)
        try:
            reply = await self._write(Request(call, "PUT", bucket, key, headers=headers, body=body))
        except ObjectChangedError as error:
            raise DestinationExistsError(error.message, error.hint, cause=error.cause) from error
        return etag_of(reply.headers) or None

    async def download_digest(self, bucket: str, key: str) -> Stored:
        """Read *bucket*/*key* to the end without keeping it."""
        call = Call(f"read {s3_name(bucket, key)}", "s3:GetObject")
        async with await self._open(Request(call, "GET", bucket, key)) as response:
            taken = await digest(_chunks(response, call))
        return stored_as(response.headers, taken.size, taken.sha256)

    async def delete(self, listed: S3Object) -> Removal:
        """Remove exactly the listed content."""
        version = listed.version_id
        needs = "s3:DeleteObjectVersion" if version else "s3:DeleteObject and s3:GetObject"
        request = Request(
            Call(f"delete {s3_name(self.name, listed.key)}", needs),
            "DELETE",
            self.name,
            listed.key,
            query={"versionId": version},
            headers={"if-match": None if version else f'"{listed.etag}"'},
        )
        try:
            await self._write(request)
        except ObjectChangedError:
            return Removal.REPLACED
        except ObjectGoneError:
            return Removal.ALREADY_GONE
        return Removal.REMOVED

    async def delete_unconditionally(self, key: str) -> None:
        """Remove whatever is at *key*."""
        call = Call(f"delete {s3_name(self.name, key)}", "s3:DeleteObject")
        await self._write(Request(call, "DELETE", self.name, key))

    async def versioning(self) -> bool:
        """Tell whether the bucket keeps versions."""
        call = Call(f"read the versioning of {s3_name(self.name)}", "s3:GetBucketVersioning")
        reply = await self._read(Request(call, "GET", self.name, query={"versioning": ""}))
        document = reply.document(call)
        with translated(call):
            if document.root != "VersioningConfiguration":
                raise NotS3Error(f"<{document.root}> is no versioning")
        return document.fields.get("Status") == "Enabled"

    async def probe(self, scratch_prefix: str) -> Capabilities:
        """Find out which conditions the store honours, through lost replies, too: the objects are the probe's own."""
        patient = S3Bucket(self.name, self._connection, self._wire, self._sizes, attempts=_PROBE_ATTEMPTS)
        return replace(await probe(patient, scratch_prefix), server=patient.server)

    async def _read(self, request: Request) -> Reply:
        wire = await self._wire()
        return self._noted(await wire.read(self._claimed(request), self._attempts or READ_ATTEMPTS))

    async def _write(self, request: Request) -> Reply:
        wire = await self._wire()
        if self._attempts:
            return self._noted(await wire.read(self._claimed(request), self._attempts))
        return self._noted(await wire.write(self._claimed(request)))

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        return await (await self._wire()).open(self._claimed(request))

    def _claimed(self, request: Request) -> Request:
        """Add who pays, and who should own the bucket if it is ours."""
        claims = {
            "x-amz-request-payer": self._payer,
            "x-amz-expected-bucket-owner": self._owner if request.bucket == self.name else None,
        }
        return replace(request, headers={**request.headers, **claims})

    def _noted(self, reply: Reply) -> Reply:
        self.server = reply.headers.get("Server", self.server)
        return reply

    def _source(self, call: Call, source: S3Object) -> Headers:
        """Describe what to copy: the version or content that was listed, and no other."""
        with translated(call):
            path = f"{self.name}/{quoted(source.key)}"
        return {
            "x-amz-copy-source": f"{path}?versionId={quoted(source.version_id)}" if source.version_id else path,
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            "x-amz-source-expected-bucket-owner": self._owner,
        }

    async def _why_not_copied(self, source: S3Object, refusal: BucketError) -> BucketError:
        """Find out which of the two conditions of a copy failed: 412 does not say it on every store."""
        now = None if source.version_id else await self.head(source.key)
        if source.version_id or (now and now.etag == source.etag):
            return DestinationExistsError(refusal.message, refusal.hint, cause=refusal.cause)
        kind = ObjectChangedError if now else ObjectGoneError
        return kind(refusal.message, refusal.hint, cause=refusal.cause)

    async def _copy_in_parts(self, call: Call, source: S3Object, target: Target, encryption: Encryption | None) -> str:
        request = Request(call, "HEAD", self.name, source.key, query={"versionId": source.version_id})
        described = (await self._read(request)).headers
        properties = {name: described.get(name) for name in _COPIED_HEADERS}
        properties |= {f"{METADATA}{name}": value for name, value in metadata_of(described).items()}
        upload = Upload(call, target, self._write)
        condition = self._source(call, source)

        async def send(number: int, first: int, last: int) -> str:
            return await upload.copy(number, {"x-amz-copy-source-range": f"bytes={first}-{last}", **condition})

        ranges = part_ranges(source.size, self._sizes.copy_part)
        return await upload.run(ranges, send, {**properties, **_encrypted(encryption)})

    async def _upload_in_parts(
        self, call: Call, source: Path, target: Target, *, size: int, properties: Headers
    ) -> str:
        upload = Upload(call, target, self._write)

        async def send(number: int, first: int, last: int) -> str:
            return await upload.send(number, await asyncio.to_thread(_content, source, first, last))

        return await upload.run(part_ranges(size, self._sizes.upload_part), send, properties)


def _encrypted(encryption: Encryption | None) -> dict[str, str | None]:
    if encryption is None:
        return {}
    return {
        "x-amz-server-side-encryption": encryption.algorithm,
        "x-amz-server-side-encryption-aws-kms-key-id": encryption.kms_key_id,
    }


def _described(like: Stored | None) -> dict[str, str | None]:
    if like is None:
        return {}
    metadata = {f"{METADATA}{name.lower()}": value for name, value in (like.metadata or {}).items()}
    return {"content-type": like.content_type, **metadata}


def _content(source: Path, first: int = 0, last: int | None = None) -> Body:
    with source.open("rb") as file:
        file.seek(first)
        data = file.read(-1 if last is None else last - first + 1)
    return Body(data, hashlib.sha256(data).hexdigest())


async def _chunks(response: aiohttp.ClientResponse, call: Call) -> AsyncIterator[bytes]:
    """Give the body in pieces; a body that ends early is an error, whatever the HTTP library thinks of it."""
    taken = 0
    with translated(call):
        announced = int(response.headers["Content-Length"])
    while True:
        with translated(call):
            chunk = await response.content.read(_CHUNK)
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
