"""aiohttp serves the operations; it costs no dependency, because aiobotocore brings it (docs/decisions/0002)."""

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.control import NotFoundError, NotPossibleError
from tidewaiter.daemon.operations import BadRequestError, Operations

_STATUS = {NotFoundError: 404, NotPossibleError: 409, BadRequestError: 400}


@asynccontextmanager
async def control_socket(path: Path, operations: Operations) -> AsyncIterator[None]:
    """Serve *operations* on a unix socket at *path*, for this user only, while the context lasts."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return _json(await operations.answer(request.method, request.path, dict(request.query)))
        except TidewaiterError as error:
            return _json({"error": error.message, "hint": error.hint}, _STATUS.get(type(error), 500))

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_route("*", "/{tail:.*}", handle)
    with _socket_at(path) as listener:
        async with _serving(app) as runner:
            await web.SockSite(runner, listener).start()
            yield


@contextmanager
def _socket_at(path: Path) -> Iterator[socket.socket]:
    """Bind a unix socket that only this user can reach; one that a crash left behind is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise TidewaiterError(
            f"cannot make the control socket {path}: {error}", "a path of 107 bytes at most; see --state-dir"
        ) from error
    finally:
        os.umask(before)
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


@asynccontextmanager
async def public(
    address: str, ready: Callable[[], Awaitable[str | None]], routes: Iterable[web.RouteDef] = (), body: int = 1024
) -> AsyncIterator[None]:
    """
    Serve ``/healthz`` and ``/readyz``, and *routes* for requests of up to *body* bytes, on *address* (``HOST:PORT``)
    while the context lasts. *ready* gives None, or why not.

    Raises:
        TidewaiterError: the address cannot be used.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        reason = await ready()
        return web.Response(text="ready\n" if reason is None else f"{reason}\n", status=200 if reason is None else 503)

    app = web.Application(client_max_size=body)
    app.router.add_routes(routes)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise TidewaiterError(f"cannot listen on '{address}'", "write HOST:PORT, for example 127.0.0.1:8080")
    async with _serving(app) as runner:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise TidewaiterError(
                f"cannot listen on {address}: {error.strerror}", "choose another --listen address"
            ) from error
        yield


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[web.AppRunner]:
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        yield runner


def _json(data: object, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(data, ensure_ascii=False), status=status, content_type="application/json")
