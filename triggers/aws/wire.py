"""Signed requests to a store on aiohttp, and the one place where reading ones are repeated (docs/decisions/0004)."""

import asyncio
import io
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import aiohttp
from yarl import URL

from tidewaiter.triggers.aws.address import Addresses, is_region
from tidewaiter.triggers.aws.errors import Call, Refusal, answered, translated
from tidewaiter.triggers.aws.proxies import Proxies
from tidewaiter.triggers.aws.replies import Document, NotS3Error, parse
from tidewaiter.triggers.aws.signature import EMPTY_SHA256, Keys, Signer, query_string
from tidewaiter.triggers.bucket import BucketUnavailableError

KeySource = Callable[[], Awaitable[Keys]]
"""Gives the keys of the moment; it is asked at every request, since keys may end."""

_CONNECT_SECONDS = 10
_KEEP_SECONDS = 12
_POOL = 64
READ_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
_REPLY_BYTES = 16 * 1024**2
_ERROR_BYTES = 64 * 1024
_CHUNK = 1 << 16
_ELSEWHERE = frozenset({301, 400})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries, and its SHA-256 in hexadecimal, which is signed so that the store checks it."""

    data: bytes = b""
    sha256: str = EMPTY_SHA256


NO_BODY = Body()


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request for *bucket*, or for *key* in it. Parameters and headers that are None are left out; the names of
    headers are in lower case.
    """

    call: Call
    method: str
    bucket: str
    key: str | None = None
    query: Mapping[str, str | None] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: Body = NO_BODY


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request that succeeded, as far as HTTP tells; *headers* are looked up in any case."""

    headers: Mapping[str, str]
    body: bytes

    def document(self, call: Call, entry: str | None = None, *, level: int = 2) -> Document:
        """
        Read the body as XML, as `parse` does.

        Raises:
            BucketError: it is none, or it is an error: S3 may begin a reply with 200 before it knows.
        """
        with translated(call):
            document = parse(self.body, entry, level=level)
        if document.root == "Error":
            raise answered(_refusal(500, document, None), call)
        return document


def open_session(tls: ssl.SSLContext | None, read_timeout: timedelta) -> aiohttp.ClientSession:
    """
    Give a pool of connections; without *tls* the certificates of the system vouch for stores. One that sends nothing
    for *read_timeout* is given up.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls or True, limit=_POOL, keepalive_timeout=_KEEP_SECONDS),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=read_timeout.total_seconds()
        ),
        headers={"User-Agent": "tidewaiter", "Accept-Encoding": "identity"},
        skip_auto_headers=("Accept", "Content-Type"),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    # Alone aiohttp repeats PUT and DELETE when a connection breaks (RFC 9112 §9.3.1); it has no public switch for it.
    session._retry_connection = False  # noqa: SLF001 - aiohttp has no other switch
    return session


class Wire:
    """
    Sends the requests of one connection.

    Raises:
        BucketUnavailableError: the store is unreachable, overloaded or answered 5xx.
        ObjectGoneError: 404 for the key or version.
        ObjectChangedError: 412.
        BucketError: anything else, with *cause* and a hint.
    """

    def __init__(self, http: aiohttp.ClientSession, addresses: Addresses, keys: KeySource, proxies: Proxies) -> None:
        self._http = http
        self._addresses = addresses
        self._keys = keys
        self._proxies = proxies
        self._regions: dict[str, str] = {}

    async def write(self, request: Request) -> Reply:
        """
        Send *request* exactly once: after a lost reply, repeating would turn the success of a conditional request into
        a 404 or 412 (reliability.md §2.1 "retries").
        """
        return await self._answer(request)

    async def read(self, request: Request, attempts: int = READ_ATTEMPTS) -> Reply:
        """Send *request*, which does no harm if repeated, up to *attempts* times until a whole reply is here."""
        return await _patiently(lambda: self._answer(request), attempts)

    async def open(self, request: Request) -> aiohttp.ClientResponse:
        """
        Send *request*, which changes nothing, up to three times, and give the reply with its body still to be read; it
        must be closed.
        """
        return await _patiently(lambda: self._send(request))

    async def _answer(self, request: Request) -> Reply:
        return await whole(await self._send(request), request.call)

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        region = self._regions.get(request.bucket, self._addresses.region)
        answer = await self._send_to(region, request)
        other = _other_region(answer, region)
        if other:
            # Nothing was done where the bucket is not, so this is no repetition.
            self._regions[request.bucket] = other
            answer = await self._send_to(other, request)
        if isinstance(answer, Refusal):
            raise answered(answer, request.call)
        return answer

    async def _send_to(self, region: str, request: Request) -> aiohttp.ClientResponse | Refusal:
        with translated(request.call):
            address = self._addresses.find(request.bucket, request.key, region)
            query = query_string(_given(request.query))
            headers = {"host": address.host, **_given(request.headers)}
            signer = Signer(await self._keys(), region, datetime.now(UTC))
            response = await self._http.request(
                request.method,
                URL(f"{address.origin}{address.path}{'?' if query else ''}{query}", encoded=True),
                headers=signer.headers(request.method, address.path, query, headers, sha256=request.body.sha256),
                data=io.BytesIO(request.body.data) if request.body.data else None,
                allow_redirects=False,
                proxy=self._proxies.find(address),
            )
            return response if response.status < 300 else await _refused(response)


def _other_region(answer: aiohttp.ClientResponse | Refusal, asked: str) -> str | None:
    """Give the region that a refusal sends us to, if it does."""
    if not isinstance(answer, Refusal) or answer.status not in _ELSEWHERE or answer.region in {None, asked}:
        return None
    return answer.region if is_region(answer.region) else None


async def _patiently(attempt: Callable[[], Awaitable[_T]], attempts: int = READ_ATTEMPTS) -> _T:
    for number in range(attempts - 1):
        try:
            return await attempt()
        except BucketUnavailableError:
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * 2 ** min(number, 2)))  # noqa: S311  # no secret
    return await attempt()


async def whole(response: aiohttp.ClientResponse, call: Call) -> Reply:
    """Take the body of *response* and close it. Raises `BucketError` when it breaks off, or is too long for a reply."""
    with translated(call):
        async with response:
            body = await _whole(response, _REPLY_BYTES)
    return Reply(response.headers, body)


def _given(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


async def _whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise NotS3Error(f"more than {limit} bytes")
    return b"".join(parts)


async def _refused(response: aiohttp.ClientResponse) -> Refusal:
    region = response.headers.get("x-amz-bucket-region")
    async with response:
        try:
            body = await _whole(response, _ERROR_BYTES)
            document = parse(body)
        except NotS3Error:
            return Refusal(response.status, str(response.status), "not a reply of S3", region)
    return _refusal(response.status, document, region)


def _refusal(status: int, document: Document, region: str | None) -> Refusal:
    said = document.fields
    if document.root not in {"", "Error"}:
        return Refusal(status, str(status), "not a reply of S3", region)
    return Refusal(status, said.get("Code"), said.get("Message", ""), said.get("Region") or region)
