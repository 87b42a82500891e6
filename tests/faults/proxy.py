"""A reverse proxy before a real S3 store, whose requests can be held, refused, or cut off by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import ClientResponse, ClientSession, DummyCookieJar, TCPConnector, web
from stores.seaweedfs import free_ports
from yarl import URL

Meant = Callable[[web.Request], bool]
Rule = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "expect", "upgrade"}
_DENIED = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"""


def is_get(key: str) -> Meant:
    """The download of *key*."""
    return lambda request: request.method == "GET" and request.path.endswith(f"/{key}")


def is_copy(key: str) -> Meant:
    """A copy whose source is *key*."""
    return lambda request: request.method == "PUT" and request.headers.get("x-amz-copy-source", "").endswith(key)


def is_delete(key: str) -> Meant:
    return lambda request: request.method == "DELETE" and request.path.endswith(f"/{key}")


def writes_below(folder: str) -> Meant:
    """Whatever stores an object below *folder*: uploads and copies."""
    return lambda request: request.method in {"PUT", "POST"} and f"/{folder}" in request.path


@dataclass(frozen=True)
class Answer:
    """What the store answered, whole."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> web.Response:
        """Make of it what a rule gives."""
        response = web.Response(status=self.status, reason=self.reason, body=self.body)
        response.headers.pop("Content-Type", None)
        for name, value in self.headers:
            response.headers.add(name, value)
        return response


@dataclass
class Gate:
    """Holds the first request it is meant for. *reached*: it has come; `open` lets it go on to the store."""

    meant: Meant
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self._open.set()

    async def __call__(self, request: web.Request) -> None:
        if self.meant(request):
            self.reached.set()
            await self._open.wait()


@dataclass
class Proxy:
    """
    Forwards every request to *upstream*, as it came: path, query and headers unchanged, since they are signed.

    *rules* see each request first: one that answers it keeps it from the store. *requests* remembers all.
    """

    upstream: str
    port: int
    rules: list[Rule] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    _site: web.TCPSite | None = None
    _runner: web.AppRunner | None = None
    _session: ClientSession | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hold(self, meant: Meant) -> Gate:
        """Hold the requests *meant* until the gate is opened."""
        gate = Gate(meant)
        self.rules.append(gate)
        return gate

    def deny(self, meant: Meant) -> Rule:
        """Answer the requests *meant* with 403 until the rule is taken away again."""

        async def rule(request: web.Request) -> web.Response | None:
            if not meant(request):
                return None
            await request.read()
            return web.Response(status=403, text=_DENIED, content_type="application/xml")

        self.rules.append(rule)
        return rule

    async def up(self) -> None:
        """Begin to answer."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path))
        for rule in list(self.rules):
            if (answer := await rule(request)) is not None:
                return answer
        return await self._forward(request)

    async def carry_out(self, request: web.Request) -> Answer:
        """Let the store do what *request* asks for and give its answer, whoever still waits for it."""
        async with await self._send(request) as answer:
            return Answer(answer.status, answer.reason or "", _passed_on(answer), await answer.read())

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with await self._send(request) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in _passed_on(answer):
                response.headers.add(name, value)
            # Whoever asked may have lost patience meanwhile; the store has done it all the same.
            with suppress(ConnectionResetError):
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(1 << 16):
                    await response.write(chunk)
                await response.write_eof()
            return response

    async def _send(self, request: web.Request) -> ClientResponse:
        assert self._session is not None
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION]
        body = await request.read()
        return await self._session.request(
            request.method,
            URL(self.upstream + request.raw_path, encoded=True),
            headers=headers,
            # A file, since large bytes are warned of.
            data=BytesIO(body) if body else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )


def _passed_on(answer: ClientResponse) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION]


@asynccontextmanager
async def proxy_to(upstream: str, *, up: bool = True) -> AsyncIterator[Proxy]:
    """Make a proxy before the store at *upstream*; with *up* false nobody answers at its address until it is told."""
    async with AsyncExitStack() as stack:
        proxy = Proxy(upstream, free_ports(1)[0])
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:[\\s\\S]*}", proxy._handle)
        proxy._session = await stack.enter_async_context(
            ClientSession(
                connector=TCPConnector(limit=0, force_close=True), cookie_jar=DummyCookieJar(), auto_decompress=False
            )
        )
        proxy._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await proxy._runner.setup()
        stack.push_async_callback(proxy._runner.cleanup)
        if up:
            await proxy.up()
        yield proxy
