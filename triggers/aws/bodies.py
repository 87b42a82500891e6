"""What is sent and received: part of a local file as a request's body, a reply's body piece by piece."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tidewaiter.triggers.aws.errors import Call, translated
from tidewaiter.triggers.aws.wire import Body
from tidewaiter.triggers.bucket import BucketUnavailableError

_CHUNK = 1 << 20


def content(source: Path, first: int = 0, last: int | None = None) -> Body:
    """Read the bytes *first* to *last* (inclusive, None: to the end) of a local file, with their SHA-256."""
    with source.open("rb") as file:
        file.seek(first)
        data = file.read(-1 if last is None else last - first + 1)
    return Body(data, hashlib.sha256(data).hexdigest())


async def chunks(response: aiohttp.ClientResponse, call: Call) -> AsyncIterator[bytes]:
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
