"""One HTTP request with its redirects: guarded, bounded, and without a credential in any message."""

import contextlib
import io
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from yarl import URL

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.httpguard import GuardedResolver, forbidden, refused
from tidewaiter.tasks.httpoptions import HttpOptions, Proxy

MAX_REDIRECTS = 10
_CONNECT_SECONDS = 60.0
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})

Body = Callable[[], Any]
"""Makes what aiohttp sends; called again when a redirect wants the request to be repeated."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request. The names of *headers* are as they are sent."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: Body | None = None

    def __str__(self) -> str:
        """Name the request in a message: what may be secret, in the query and before the host, is left out."""
        return f"{self.method} {self.url.with_user(None).with_query(None).with_fragment(None)}"


def address_of(text: str, params: Mapping[str, Any] | None = None) -> URL:
    """
    Read the address of a request; *params* are added to its query, spaces are encoded.

    Raises:
        TaskError: it is no address of an HTTP server.
    """
    try:
        url = URL(text.strip().replace(" ", "%20"))
        if url.scheme in {"http", "https"} and url.host:
            return url.extend_query({name: _text(value) for name, value in params.items()}) if params else url
    except ValueError:
        pass
    raise TaskError("the uri is no address of an HTTP server", "write it like https://host/path")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def text_body(text: str, charset: str) -> Body:
    """Make a body of *text*. Raises `TaskError` when *charset* cannot write it."""
    try:
        data = text.encode(charset)
    except (LookupError, UnicodeError) as error:
        raise TaskError(f"the body cannot be written in the charset '{charset}': {error}") from error
    return lambda: io.BytesIO(data)


@contextlib.asynccontextmanager
async def exchange(message: Message, options: HttpOptions) -> AsyncIterator[aiohttp.ClientResponse]:
    """
    Send *message*, follow redirects if *options* say so, and give the response, its body still to be read.

    Credentials go to the host that was named and to no other that a redirect names.

    Raises:
        TaskError: the server cannot be reached or breaks off, is one that requests may not go to, or redirects too
            often; the same for what happens while the response is read.
    """
    try:
        async with _session(options) as session, await _final(session, _signed(message, options), options) as response:
            yield response
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise TaskError(f"{message}: {_reason(error)}", "check the uri, the network and options.timeout") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.InvalidURL):
        return "the address is not valid"
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message  # by itself it would show the whole address
    return str(error) or type(error).__name__


def _session(options: HttpOptions) -> aiohttp.ClientSession:
    insecure = options.ssl is not None and options.ssl.insecure_trust_all_certificates
    wait = options.wait
    connect = wait.connect_timeout.total_seconds() if wait.connect_timeout else _CONNECT_SECONDS
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=not insecure, resolver=GuardedResolver(), use_dns_cache=False, force_close=True
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=connect, sock_read=wait.read_idle_timeout.total_seconds()
        ),
        headers={"User-Agent": "tidewaiter"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    # A request is sent once: whether it may be repeated is for the flow's retry to say. There is no public switch.
    session._retry_connection = False  # noqa: SLF001 - aiohttp has no other switch
    return session


def _signed(message: Message, options: HttpOptions) -> Message:
    auth = options.credentials
    if auth is None:
        return message
    value = f"Bearer {auth.token}" if auth.type == "BEARER" else _basic(auth.username or "", auth.password)
    return replace(message, headers={"Authorization": value, **message.headers})


def _basic(user: str, password: str | None) -> str:
    """Write name and password for a header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password or ''}".encode()).decode()


async def _final(session: aiohttp.ClientSession, message: Message, options: HttpOptions) -> aiohttp.ClientResponse:
    for _ in range(MAX_REDIRECTS + 1):
        response = await _send(session, message, options.through)
        if not options.follow_redirects or response.status not in _FOLLOWED or "Location" not in response.headers:
            return response
        response.release()
        message = _redirected(message, response)
    raise TaskError(f"{message}: redirected more than {MAX_REDIRECTS} times", "check the address")


async def _send(session: aiohttp.ClientSession, message: Message, proxy: Proxy | None) -> aiohttp.ClientResponse:
    if forbidden(message.url.host or ""):
        raise refused(message.url.host or "")
    through = proxy if proxy and proxy.type == "HTTP" else None
    login = {"Proxy-Authorization": _basic(through.username, through.password)} if through and through.username else {}
    return await session.request(
        message.method,
        message.url,
        # A proxy reads a request that is not encrypted itself, and CONNECT before one that is.
        headers={**message.headers, **(login if message.url.scheme == "http" else {})},
        data=message.body() if message.body else None,
        allow_redirects=False,
        proxy=f"http://{through.address}:{through.port or 80}" if through else None,
        proxy_headers=login or None,
    )


def _redirected(message: Message, response: aiohttp.ClientResponse) -> Message:
    """Give the request that follows *message* (RFC 9110 §15.4): 303 asks for a GET, as do old servers that say 302."""
    try:
        url = message.url.join(URL(response.headers["Location"]))
    except ValueError as error:
        raise TaskError(f"{message}: redirected to what is no address") from error
    if url.scheme not in {"http", "https"}:
        raise TaskError(f"{message}: redirected to another kind of address ({url.scheme})")
    headers = message.headers
    if url.origin() != message.url.origin():
        headers = {name: value for name, value in headers.items() if name.lower() not in _PRIVATE}
    turns = response.status == 303 and message.method != "HEAD"
    if turns or (response.status in {301, 302} and message.method == "POST"):
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        return Message("GET", url, headers)
    return Message(message.method, url, headers, message.body)
