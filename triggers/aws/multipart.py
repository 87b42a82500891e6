"""Uploads and copies in several parts (S3 "multipart upload")."""

import asyncio
import hashlib
import html
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from tidewaiter.triggers.aws.errors import Call, translated
from tidewaiter.triggers.aws.wire import NO_BODY, Body, Reply, Request
from tidewaiter.triggers.bucket import (
    BucketError,
    BucketUnavailableError,
    DestinationExistsError,
    ObjectChangedError,
    Written,
)

_PARTS_AT_ONCE = 4
_PARTS_AT_MOST = 10_000

SendPart = Callable[[int, int, int], Awaitable[str]]
"""Sends part *number* with the bytes *first* to *last* (inclusive) and gives its ETag as the store wrote it."""

Send = Callable[[Request], Awaitable[Reply]]
"""Sends one request exactly once and gives the store's answer, or raises `BucketError`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an object is to be stored; *if_none_match* ``*``: only if the key is free."""

    bucket: str
    key: str
    if_none_match: str | None = None


def part_ranges(size: int, part_size: int) -> Iterator[tuple[int, int, int]]:
    """Number the parts of *size* bytes from 1, with first and last byte; they grow where 10,000 are too few."""
    step = max(part_size, -(-size // _PARTS_AT_MOST))
    for number, first in enumerate(range(0, size, step), start=1):
        yield number, first, min(first + step, size) - 1


def confirmed_etag(reply: Reply, call: Call) -> str:
    """
    Give the ETag from the body of a reply.

    Raises:
        BucketUnavailableError: there is none. S3 sends the status 200 before the work is done, so it confirms nothing.
        BucketError: the body is an error, or no XML.
    """
    etag = reply.document(call).fields.get("ETag", "").strip('"')
    if not etag:
        raise BucketUnavailableError(f"cannot {call.does}: the reply does not confirm it", cause="IncompleteReply")
    return etag


class Upload:
    """
    One multipart upload to *target*: nothing appears at the key before its last request, and a failure leaves nothing
    behind.
    """

    def __init__(self, call: Call, target: Target, send: Send) -> None:
        self._call = call
        self._target = target
        self._send = send
        self._id = ""

    async def send(self, number: int, body: Body) -> str:
        """Send *body* as the part *number* and give its ETag."""
        reply = await self._send(self._request("PUT", self._part(number), body=body))
        with translated(self._call):
            return reply.headers["ETag"]

    async def copy(self, number: int, source: Mapping[str, str | None]) -> str:
        """Let the store copy what the headers *source* describe to the part *number*, and give its ETag."""
        return confirmed_etag(await self._send(self._request("PUT", self._part(number), source)), self._call)

    async def run(
        self, parts: Iterator[tuple[int, int, int]], send_part: SendPart, properties: Mapping[str, str | None]
    ) -> Written:
        """
        Send all *parts*, a few at once, put them together and give what the store says of the object; *properties* are
        its headers.

        Raises:
            DestinationExistsError: the key was taken when the parts were complete.
            BucketError: a part failed; the first failure.
        """
        started = (await self._send(self._request("POST", {"uploads": ""}, properties))).document(self._call)
        with translated(self._call):
            self._id = started.fields["UploadId"]
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._abort)
            written = await self._complete(await _in_parallel(parts, send_part))
            undo.pop_all()
        return written

    async def _complete(self, etags: Mapping[int, str]) -> Written:
        condition = {"if-none-match": self._target.if_none_match}
        try:
            reply = await self._send(self._request("POST", {"uploadId": self._id}, condition, _manifest(etags)))
        except ObjectChangedError as error:
            raise DestinationExistsError(error.message, error.hint, cause=error.cause) from error
        return Written(confirmed_etag(reply, self._call), reply.headers.get("x-amz-version-id"))

    async def _abort(self) -> None:
        # The failure that led here is the one to report; parts that stay are invisible, a lifecycle rule removes them.
        with suppress(BucketError):
            await asyncio.shield(self._send(self._request("DELETE", {"uploadId": self._id})))

    def _part(self, number: int) -> dict[str, str | None]:
        return {"partNumber": str(number), "uploadId": self._id}

    def _request(
        self,
        method: str,
        query: Mapping[str, str | None],
        headers: Mapping[str, str | None] | None = None,
        body: Body = NO_BODY,
    ) -> Request:
        return Request(
            self._call, method, self._target.bucket, self._target.key, query=query, headers=headers or {}, body=body
        )


def _manifest(etags: Mapping[int, str]) -> Body:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{html.escape(etags[number], quote=False)}</ETag></Part>"
        for number in sorted(etags)
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    data = f'<CompleteMultipartUpload xmlns="{namespace}">{parts}</CompleteMultipartUpload>'.encode()
    return Body(data, hashlib.sha256(data).hexdigest())


async def _in_parallel(parts: Iterator[tuple[int, int, int]], send_part: SendPart) -> dict[int, str]:
    etags: dict[int, str] = {}

    async def work() -> None:
        for number, first, last in parts:
            etags[number] = await send_part(number, first, last)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(_PARTS_AT_ONCE):
                workers.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return etags
