"""`Bucket` over signed HTTP requests. What each method promises is said in `triggers.bucket`."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.address import quoted
from tidewaiter.triggers.aws.bodies import chunks, content
from tidewaiter.triggers.aws.errors import Call, s3_name, translated
from tidewaiter.triggers.aws.headers import Headers, changing, describing
from tidewaiter.triggers.aws.multipart import Target, Upload, confirmed_etag, part_ranges
from tidewaiter.triggers.aws.replies import (
    NotS3Error,
    UploadMarker,
    date_of,
    etag_of,
    has_tags,
    head_of,
    listing,
    stored_as,
    unfinished,
)
from tidewaiter.triggers.aws.tagging import tag_set, tagging
from tidewaiter.triggers.aws.wire import READ_ATTEMPTS, Reply, Request, Wire, whole
from tidewaiter.triggers.bucket import (
    AS_IT_IS,
    BucketError,
    BucketUnavailableError,
    Capabilities,
    DestinationExistsError,
    Head,
    Marking,
    MultipartUpload,
    ObjectChangedError,
    ObjectGoneError,
    ObjectProperties,
    Page,
    Removal,
    S3Object,
    Stored,
    Written,
)
from tidewaiter.triggers.download import digest, save
from tidewaiter.triggers.probe import probe

_PROBE_ATTEMPTS = 6


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
            if page.token is not None and page.token == token:
                raise BucketUnavailableError(
                    f"cannot {call.does}: the store gives one page again and again", cause="NotS3"
                )
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
            tags = await self._tags_told(response.headers, listed)
            taken = await save(chunks(response, call), destination)
        return replace(stored_as(response.headers, taken.size, taken.sha256), tags=tags)

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
        self,
        source: S3Object,
        bucket: str,
        key: str,
        *,
        properties: ObjectProperties = AS_IT_IS,
        overwrite: bool = False,
        like: Stored | None = None,
    ) -> str:
        """Copy exactly the listed content to *bucket*/*key*."""
        call = Call(
            f"copy {s3_name(self.name, source.key)} to {s3_name(bucket, key)}",
            "s3:GetObject on the source and s3:PutObject on the destination",
        )
        target = Target(bucket, key, None if overwrite else "*")
        if source.size > self._sizes.copy_whole:
            described = describing(properties, like or await self._description(call, source))
            return (await self._copy_in_parts(call, source, target, described)).etag or ""
        headers = {"if-none-match": target.if_none_match, **changing(properties, like), **self._source(call, source)}
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
        properties: ObjectProperties = AS_IT_IS,
        overwrite: bool = False,
        like: Stored | None = None,
    ) -> str | None:
        """Store the local file at *bucket*/*key*."""
        target = Target(bucket, key, None if overwrite else "*")
        return (await self._put(source, target, describing(properties, like))).etag

    async def _put(self, source: Path, target: Target, described: Headers) -> Written:
        call = Call(f"upload to {s3_name(target.bucket, target.key)}", "s3:PutObject")
        size = (await asyncio.to_thread(source.stat)).st_size
        if size > self._sizes.upload_part:
            return await self._upload_in_parts(call, source, target, size=size, described=described)
        headers = {"if-none-match": target.if_none_match, **described}
        body = await asyncio.to_thread(content, source)
        try:
            reply = await self._write(Request(call, "PUT", target.bucket, target.key, headers=headers, body=body))
        except ObjectChangedError as error:
            raise DestinationExistsError(error.message, error.hint, cause=error.cause) from error
        return Written(etag_of(reply.headers) or None, reply.headers.get("x-amz-version-id"))

    async def download_digest(self, bucket: str, key: str) -> Stored:
        """Read *bucket*/*key* to the end without keeping it."""
        call = Call(f"read {s3_name(bucket, key)}", "s3:GetObject")
        async with await self._open(Request(call, "GET", bucket, key)) as response:
            taken = await digest(chunks(response, call))
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

    async def mark_deleted(self, listed: S3Object) -> Marking:
        """Put a delete marker over exactly the listed content."""
        call = Call(f"delete {s3_name(self.name, listed.key)}", "s3:DeleteObject and s3:GetObject")
        condition = {"if-match": f'"{listed.etag}"'}
        try:
            reply = await self._write(Request(call, "DELETE", self.name, listed.key, headers=condition))
        except ObjectChangedError:
            return Marking(Removal.REPLACED)
        except ObjectGoneError:
            return Marking(Removal.ALREADY_GONE)
        marked = reply.headers.get("x-amz-delete-marker") == "true"
        return Marking(Removal.REMOVED, reply.headers.get("x-amz-version-id") if marked else None)

    async def delete_unconditionally(self, key: str) -> None:
        """Remove whatever is at *key*."""
        call = Call(f"delete {s3_name(self.name, key)}", "s3:DeleteObject")
        await self._write(Request(call, "DELETE", self.name, key))

    async def tags(self, key: str, *, version_id: str | None = None) -> dict[str, str]:
        """Give the tags of the object at *key*."""
        call = Call(f"read the tags of {s3_name(self.name, key)}", "s3:GetObjectTagging")
        query = {"tagging": "", "versionId": version_id}
        async with await self._open(Request(call, "GET", self.name, key, query=query)) as response:
            if "Last-Modified" in response.headers:
                raise BucketError(
                    f"cannot {call.does}: the store gave the object in their place, so it has no tags",
                    "choose another action, or a store that has object tagging",
                    cause="NotImplemented",
                )
            document = (await whole(response, call)).document(call, "Tag", level=3)
        with translated(call):
            return tag_set(document)

    async def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """Replace all tags of the object at *key*."""
        call = Call(f"tag {s3_name(self.name, key)}", "s3:PutObjectTagging")
        body = tagging(tags)
        # S3 wants a checksum of this body in a header of its own, signed or not.
        md5 = b64encode(hashlib.md5(body.data, usedforsecurity=False).digest()).decode()
        query, headers = {"tagging": "", "versionId": version_id}, {"content-md5": md5}
        reply = await self._write(Request(call, "PUT", self.name, key, query=query, headers=headers, body=body))
        reply.document(call)

    async def uploads(self, prefix: str, *, bucket: str | None = None) -> AsyncIterator[MultipartUpload]:
        """Give the unfinished multipart uploads to keys below *prefix*."""
        name = bucket or self.name
        call = Call(f"list the uploads to {s3_name(name, prefix)}", "s3:ListBucketMultipartUploads")
        asked = {"uploads": "", "prefix": prefix, "max-uploads": "1000"}
        before: UploadMarker | None = None
        marker: UploadMarker | None = (None, None)
        while marker is not None and marker != before:
            place = {"key-marker": marker[0], "upload-id-marker": marker[1]}
            reply = await self._read(Request(call, "GET", name, query={**asked, **place}))
            document = reply.document(call, "Upload")
            with translated(call):
                page = unfinished(document, name)
            for upload in page.uploads:
                yield upload
            before, marker = marker, page.marker

    async def abort_upload(self, upload: MultipartUpload) -> None:
        """Throw away an unfinished multipart upload with its parts."""
        call = Call(f"abort an upload to {s3_name(upload.bucket, upload.key)}", "s3:AbortMultipartUpload")
        query = {"uploadId": upload.upload_id}
        try:
            await self._write(Request(call, "DELETE", upload.bucket, upload.key, query=query))
        except BucketError as error:
            if error.cause != "NoSuchUpload":
                raise

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

    async def _description(self, call: Call, source: S3Object) -> Stored:
        """Ask what describes the listed content, for a copy of which nobody knows."""
        request = Request(call, "HEAD", self.name, source.key, query={"versionId": source.version_id})
        headers = (await self._read(request)).headers
        return replace(stored_as(headers, source.size, ""), tags=await self._tags_told(headers, source))

    async def _tags_told(self, headers: Mapping[str, str], listed: S3Object) -> dict[str, str] | None:
        """
        Read the tags of an object if the reply to GET or HEAD tells of any: S3 does so where we may read them.

        An object that vanishes in this moment leaves its tags unknown, not its content.
        """
        if not has_tags(headers):
            return None
        try:
            return await self.tags(listed.key, version_id=headers.get("x-amz-version-id", listed.version_id))
        except ObjectGoneError:
            return None

    async def _copy_in_parts(self, call: Call, source: S3Object, target: Target, described: Headers) -> Written:
        upload = Upload(call, target, self._write)
        condition = self._source(call, source)

        async def send(number: int, first: int, last: int) -> str:
            return await upload.copy(number, {"x-amz-copy-source-range": f"bytes={first}-{last}", **condition})

        return await upload.run(part_ranges(source.size, self._sizes.copy_part), send, described)

    async def _upload_in_parts(
        self, call: Call, source: Path, target: Target, *, size: int, described: Headers
    ) -> Written:
        upload = Upload(call, target, self._write)

        async def send(number: int, first: int, last: int) -> str:
            return await upload.send(number, await asyncio.to_thread(content, source, first, last))

        return await upload.run(part_ranges(size, self._sizes.upload_part), send, described)
