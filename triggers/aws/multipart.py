"""Uploads and copies in several parts (S3 "multipart upload")."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tidewaiter.triggers.aws.errors import Call
from tidewaiter.triggers.bucket import BucketError, BucketUnavailableError, DestinationExistsError, ObjectChangedError

_PARTS_AT_ONCE = 4
_PARTS_AT_MOST = 10_000

SendPart = Callable[[int, int, int], Awaitable[str]]
"""Sends part *number* with the bytes *first* to *last* (inclusive) and gives its ETag as the store wrote it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an object is to be stored or removed; *if_none_match* ``*``: only if the key is free."""

    bucket: str
    key: str
    if_none_match: str | None = None


class Send(Protocol):
    """Sends one request that must not be repeated by itself."""

    def __call__(self, call: Call, operation: str, target: Target, **parameters: Any) -> Awaitable[dict[str, Any]]:
        """Give the store's answer, or raise `BucketError`."""


def part_ranges(size: int, part_size: int) -> Iterator[tuple[int, int, int]]:
    """Number the parts of *size* bytes from 1, with first and last byte; they grow where 10,000 are too few."""
    step = max(part_size, -(-size // _PARTS_AT_MOST))
    for number, first in enumerate(range(0, size, step), start=1):
        yield number, first, min(first + step, size) - 1


def confirmed_etag(answer: Mapping[str, Any], call: Call) -> str:
    """
    Give the ETag from the body of a reply.

    Raises:
        BucketUnavailableError: there is none. S3 sends the status 200 before the work is done, so it confirms nothing.
    """
    etag = str(answer.get("ETag", "")).strip('"')
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
        self._id: str | None = None

    async def send(self, operation: str, number: int, **parameters: Any) -> dict[str, Any]:
        """Send the part *number*."""
        return await self._send(self._call, operation, self._target, UploadId=self._id, PartNumber=number, **parameters)

    async def run(
        self, parts: Iterator[tuple[int, int, int]], send_part: SendPart, properties: Mapping[str, Any]
    ) -> str:
        """
        Send all *parts*, a few at once, put them together and give the object's ETag.

        Raises:
            DestinationExistsError: the key was taken when the parts were complete.
            BucketError: a part failed; the first failure.
        """
        started = await self._send(self._call, "create_multipart_upload", self._target, **properties)
        self._id = started["UploadId"]
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._abort)
            etag = await self._complete(await _in_parallel(parts, send_part))
            undo.pop_all()
        return etag

    async def _complete(self, etags: Mapping[int, str]) -> str:
        parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        try:
            answer = await self._send(
                self._call,
                "complete_multipart_upload",
                self._target,
                UploadId=self._id,
                MultipartUpload={"Parts": parts},
                IfNoneMatch=self._target.if_none_match,
            )
        except ObjectChangedError as error:
            raise DestinationExistsError(error.message, error.hint, cause=error.cause) from error
        return confirmed_etag(answer, self._call)

    async def _abort(self) -> None:
        # The failure that led here is the one to report; parts that stay are invisible, a lifecycle rule removes them.
        with suppress(BucketError):
            await asyncio.shield(self._send(self._call, "abort_multipart_upload", self._target, UploadId=self._id))


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
