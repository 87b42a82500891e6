"""Run programs as processes of this machine, each in its own session, and leave none behind (kestra.md D26, D27)."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.processes import COOKIE, Tree
from tidewaiter.tasks.runner import Command, Exit, OnLine, Stream

LINE_LIMIT = 4 * 1024 * 1024
"""Longest line handed over whole, in bytes; a longer one comes in pieces."""

_CHUNK = 64 * 1024
_DRAIN_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 0.01
_SLOWEST_LOOK_SECONDS = 0.1


def kill_survivors(task_run_id: str) -> int:
    """
    End every process still alive of the task run *task_run_id* and give their number.

    For the start after a crash of the daemon. Idempotent. Blocks until they are gone.
    """
    return Tree(task_run_id).kill()


@dataclass(frozen=True, slots=True)
class ProcessRunner:
    """
    A `Runner` of plain processes, with no input.

    *task_run_id* marks them; *kill_grace* is how long SIGTERM is given to work before SIGKILL.
    What a program leaves running behind it is ended with it: files are taken from the working directory right after.
    """

    task_run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    kill_grace: timedelta = timedelta(seconds=5)

    async def run(self, command: Command, on_line: OnLine) -> Exit:
        """See `Runner.run`."""
        with _started(command, self.task_run_id) as child:
            tree = Tree.led_by(child.pid, self.task_run_id)
            outputs = _outputs(child, on_line)
            try:
                timed_out = not await _ends(child, command.timeout)
                await (self._terminate(tree) if timed_out else _drained(outputs))
            except asyncio.CancelledError:
                await self._terminate(tree)
                raise
            finally:
                await self._bury(child, tree, outputs)
        return _exit(child.returncode, timed_out=timed_out)

    async def _terminate(self, tree: Tree) -> None:
        """Ask every process of *tree* to end and wait for it, as long as the grace lasts."""
        deadline = time.monotonic() + self.kill_grace.total_seconds()
        asked: set[int] = set()
        pause = _FIRST_LOOK_SECONDS
        while (members := tree.members()) and time.monotonic() < deadline:
            for process in members:
                if process.pid not in asked:
                    process.send(signal.SIGTERM)
            asked.update(process.pid for process in members)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _SLOWEST_LOOK_SECONDS)

    async def _bury(self, child: subprocess.Popen[bytes], tree: Tree, outputs: "list[_Output]") -> None:
        """
        Kill what is left and take the last output.

        The child is reaped only afterwards: until then its pid, and so the session's number, cannot be given to another
        process. A second cancellation cuts the wait short, not the killing.
        """
        try:
            await asyncio.shield(asyncio.to_thread(tree.kill))
            await _drained(outputs)
        finally:
            for output in outputs:
                output.close()
            child.kill()
            child.wait()


def process_runner(context: TaskContext) -> ProcessRunner:
    """The runner for the programs of the task run *context*."""
    grace = timedelta(seconds=context.runners.kill_grace_seconds)
    return ProcessRunner(context.task_run_id or uuid.uuid4().hex, grace)


@contextlib.contextmanager
def _started(command: Command, task_run_id: str) -> Iterator[subprocess.Popen[bytes]]:
    try:
        child = subprocess.Popen(  # noqa: S603 - running what the flow says is the purpose
            command.argv,
            cwd=command.cwd,
            env={**command.env, COOKIE: task_run_id},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        raise _not_started(command, error) from error
    with child:
        yield child


def _not_started(command: Command, error: OSError | ValueError) -> TaskError:
    name = command.argv[0]
    if isinstance(error, ValueError):
        return TaskError(f"'{name}' cannot be started: {error}", "take the NUL out of the command or variable")
    if error.errno == errno.E2BIG:
        reason = f"'{name}' cannot be started: a command or environment variable is too long"
        return TaskError(reason, "hand big values to the program in a file, with inputFiles")
    if error.filename is not None and os.fspath(error.filename) == os.fspath(command.cwd):
        return TaskError(f"'{name}' cannot be started: there is no working directory {command.cwd}")
    if error.errno == errno.ENOENT:
        return TaskError(f"command '{name}' was not found", "install it on this machine, or give its full path")
    return TaskError(f"command '{name}' cannot be started: {error.strerror}", "give it execute permission")


async def _ends(child: subprocess.Popen[bytes], limit: timedelta | None) -> bool:
    """Wait for the end of *child* without reaping it; False when *limit* came first."""
    try:
        async with asyncio.timeout(limit.total_seconds() if limit else None), _watch(child.pid) as ended:
            await ended.wait()
    except TimeoutError:
        return False
    return True


@contextlib.asynccontextmanager
async def _watch(pid: int) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set when process *pid* ends; a pidfd needs no thread and does not reap."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(pid)
    loop.add_reader(pidfd, ended.set)
    try:
        yield ended
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _outputs(child: subprocess.Popen[bytes], on_line: OnLine) -> "list[_Output]":
    if child.stdout is None or child.stderr is None:
        raise TypeError("the child was started without pipes")
    return [_Output(child.stdout, "stdout", on_line), _Output(child.stderr, "stderr", on_line)]


async def _drained(outputs: "list[_Output]") -> None:
    """Wait a moment for the end of every output; a process left in the background may hold one open for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            for output in outputs:
                await output.ended.wait()


def _exit(returncode: int, *, timed_out: bool) -> Exit:
    if returncode >= 0:
        return Exit(returncode, timed_out=timed_out)
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return Exit(128 - returncode, name, timed_out)


class _Output:
    """
    One output of a program, read as it comes and cut into lines.

    Each read hands on what it got before the next one, so a program faster than its reader waits at the pipe.
    """

    def __init__(self, pipe: IO[bytes], stream: Stream, on_line: OnLine) -> None:
        self.ended = asyncio.Event()
        self._pipe = pipe
        self._stream: Stream = stream
        self._on_line = on_line
        self._rest = bytearray()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def close(self) -> None:
        """Stop reading; what has come without a line end is the last line."""
        if not self.ended.is_set():
            self._loop.remove_reader(self._pipe.fileno())
            self._flush()
            self.ended.set()
        self._pipe.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._pipe.fileno(), _CHUNK)
            if chunk:
                self._take(chunk)
            else:
                self._loop.remove_reader(self._pipe.fileno())
                self._flush()
                self.ended.set()

    def _take(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._emit(bytes(self._rest) + line)
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > LINE_LIMIT:
            piece, self._rest = _cut(self._rest)
            self._emit(piece)

    def _flush(self) -> None:
        if self._rest:
            self._emit(bytes(self._rest))
            self._rest.clear()

    def _emit(self, line: bytes) -> None:
        self._on_line(self._stream, line.removesuffix(b"\r").decode("utf-8", "replace"))


def _cut(text: bytearray) -> tuple[bytes, bytearray]:
    """Cut *text*, which is longer than that, at `LINE_LIMIT`, between two characters of UTF-8."""
    end = LINE_LIMIT
    while end > LINE_LIMIT - 3 and text[end] & 0xC0 == 0x80:
        end -= 1
    return bytes(text[:end]), text[end:]
