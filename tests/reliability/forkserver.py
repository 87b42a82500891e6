"""
Starts daemons by ``fork`` from a process that has their modules loaded: what a run costs then is the run.

Importing is two thirds of the CPU time of a short run, and no kill in it could tell anything: nothing durable has
begun. A forked daemon goes through the same ``main`` with the arguments, the environment, the folder and the open
files that an executed one has.
"""

import asyncio
import faulthandler
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reliability.broken_orders import break_order

# What `main` would load when it needs it.
from tidewaiter.daemon.cli import main, run  # noqa: F401 - loaded before the fork

_TRACER = "TracerPid:\t0\n"
_TRACER_LOOK_SECONDS = 0.001
_TRACER_SECONDS = 60.0
_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Start:
    """
    A daemon to be started: its command line, all it sees of the environment, its working folder, where its output goes.

    *traced*: it goes on only when a tracer has attached. *broken* names a wrong order, see `reliability.broken_orders`.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    log: str
    traced: bool = False
    broken: str | None = None


@dataclass(slots=True)
class Forked:
    """A running daemon. *code* is its exit code, negative for a signal, as soon as it has ended."""

    pid: int
    code: asyncio.Future[int]

    async def ended(self, seconds: float) -> int:
        """Wait for its end and give its exit code; after *seconds* it is told to abort, with its stacks in its log."""
        done, _ = await asyncio.wait({self.code}, timeout=seconds)
        if not done:
            os.kill(self.pid, signal.SIGABRT)
        return await self.code

    async def killed(self, seconds: float) -> int:
        """Kill it after *seconds*, if it has not ended before, and give its exit code."""
        done, _ = await asyncio.wait({self.code}, timeout=seconds)
        if not done:
            os.kill(self.pid, signal.SIGKILL)
        return await self.code


@dataclass(slots=True)
class ForkServer:
    """The client's side: `start` daemons and await their ends."""

    _process: asyncio.subprocess.Process
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _started: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    _running: dict[int, Forked] = field(default_factory=dict)

    async def start(self, start: Start) -> Forked:
        """Fork a daemon."""
        async with self._starting:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asdict(start)).encode() + b"\n")
            await self._process.stdin.drain()
            return self._running[await self._started.get()]

    async def listen(self) -> None:
        """Take the server's messages until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "started" in message:
                pid = message["started"]
                self._running[pid] = Forked(pid, asyncio.get_running_loop().create_future())
                self._started.put_nowait(pid)
            else:
                self._running.pop(message["ended"]).code.set_result(message["code"])


@asynccontextmanager
async def fork_server() -> AsyncIterator[ForkServer]:
    """Run a fork server while the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore", "-m", "reliability.forkserver"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    server = ForkServer(process)
    listening = asyncio.create_task(server.listen())
    try:
        yield server
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


def serve() -> None:
    """Fork a daemon for each line on stdin; tell on stdout of starts and ends. Ends, with all it started, at EOF."""
    running: dict[int, int] = {}
    lines = _Lines()
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        while not lines.over:
            for key, _ in selector.select():
                if key.fd == 0:
                    for line in lines.read():
                        pid = _fork(Start(**json.loads(line)))
                        running[watch := os.pidfd_open(pid)] = pid
                        selector.register(watch, selectors.EVENT_READ)
                else:
                    selector.unregister(key.fd)
                    _reap(key.fd, running.pop(key.fd))
    for pid in running.values():
        os.kill(pid, signal.SIGKILL)


@dataclass(slots=True)
class _Lines:
    """The lines that come on stdin, whole ones only; *over* at EOF."""

    over: bool = False
    _rest: bytes = b""

    def read(self) -> list[bytes]:
        received = os.read(0, _LIMIT)
        self.over = not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        return lines


def _reap(watch: int, pid: int) -> None:
    os.close(watch)
    _, status = os.waitpid(pid, 0)
    _tell(ended=pid, code=os.waitstatus_to_exitcode(status))


def _tell(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _fork(start: Start) -> int:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _become(start)
        finally:
            sys.stderr.flush()
            os._exit(code)
    _tell(started=pid)
    return pid


def _become(start: Start) -> int:
    """Be the daemon: everything of the server is let go."""
    os.setsid()
    os.chdir(start.folder)
    log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable(file=2)
    os.closerange(3, _LIMIT)
    os.environ.clear()
    os.environ.update(start.environment)
    if start.broken:
        break_order(start.broken)
    if start.traced:
        _await_tracer()
    return main(start.arguments)


def _await_tracer() -> None:
    deadline = time.monotonic() + _TRACER_SECONDS
    while _TRACER in Path("/proc/self/status").read_text():
        if time.monotonic() > deadline:
            raise TimeoutError("no tracer came")
        time.sleep(_TRACER_LOOK_SECONDS)


if __name__ == "__main__":
    serve()
