"""Programs run as processes: output, exit, and that nothing of them stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.process import LINE_LIMIT, ProcessRunner, kill_survivors
from tidewaiter.tasks.processes import COOKIE, Tree
from tidewaiter.tasks.runner import Command, Exit

ENV = {"PATH": os.environ["PATH"]}
DEADLINE_SECONDS = 10


def shell(script: str, *, timeout: float | None = None, **env: str) -> Command:
    limit = timedelta(seconds=timeout) if timeout else None
    return Command(("/bin/sh", "-c", script), Path("/tmp"), {**ENV, **env}, limit)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: object, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Lines(list[tuple[str, str]]):
    """Collects the lines of a program."""

    def __call__(self, stream: str, line: str) -> None:
        self.append((stream, line))

    def of(self, stream: str) -> list[str]:
        return [line for origin, line in self if origin == stream]


@pytest.fixture(name="lines")
def _lines() -> Lines:
    return Lines()


@pytest.fixture(name="runner")
def _runner() -> Iterator[ProcessRunner]:
    runner = ProcessRunner(uuid.uuid4().hex, timedelta(seconds=0.3))
    yield runner
    kill_survivors(runner.task_run_id)


class TestOutput:
    async def test_lines_of_both_streams_arrive(self, runner, lines):
        """Each stream is delivered line by line, the last line also without a line end."""
        await runner.run(shell("echo one; echo oops >&2; printf two"), lines)

        assert (lines.of("stdout"), lines.of("stderr")) == (["one", "two"], ["oops"])

    async def test_stdin_is_empty(self, runner, lines):
        """A program that reads its input meets the end of file at once."""
        exit_ = await runner.run(shell("cat; echo done"), lines)

        assert (Exit(0), ["done"]) == (exit_, lines.of("stdout"))

    async def test_bytes_that_are_not_text(self, runner, lines):
        """Bytes that are not UTF-8 are replaced, and a carriage return before the line end is dropped."""
        await runner.run(shell(r"printf 'a\377b\r\n'"), lines)

        assert lines.of("stdout") == ["a\ufffdb"]

    async def test_much_output_on_both_streams(self, runner, lines):
        """Output far beyond the size of a pipe does not block, whichever stream it is on."""
        exit_ = await runner.run(shell("seq 200000 >&2; seq 200000"), lines)

        assert (exit_.code, len(lines.of("stdout")), len(lines.of("stderr"))) == (0, 200000, 200000)

    async def test_endless_line_is_cut(self, runner, lines):
        """A line beyond the limit comes in pieces that together are the whole, cut between characters."""
        script = f"sys.stdout.buffer.write('a'.encode() + 'é'.encode() * {LINE_LIMIT})"
        await runner.run(Command((sys.executable, "-c", f"import sys; {script}"), Path("/tmp"), ENV), lines)

        pieces = lines.of("stdout")
        assert "".join(pieces) == "a" + "é" * LINE_LIMIT
        assert max(len(piece.encode()) for piece in pieces) < LINE_LIMIT + 256 * 1024


class TestExit:
    async def test_exit_code(self, runner, lines):
        """The exit code of the program is given as it is."""
        assert (await runner.run(shell("exit 3"), lines)).reason == "exit code 3"

    async def test_signal(self, runner, lines):
        """A program ended by a signal has exit code 128 + n and the signal's name."""
        exit_ = await runner.run(shell("kill -9 $$"), lines)

        assert exit_.reason == "exit code 137, killed by SIGKILL"

    @pytest.mark.parametrize(
        ("argv", "words"),
        [(("no-such-program",), "was not found"), (("/tmp",), "cannot be started"), (("a\0b",), "NUL")],
    )
    async def test_not_startable(self, runner, lines, argv, words):
        """A program that cannot be started is an error that names it and says why."""
        with pytest.raises(TaskError, match=words):
            await runner.run(Command(argv, Path("/tmp"), ENV), lines)

    async def test_missing_directory(self, runner, lines, tmp_path):
        """A missing working directory is not mistaken for a missing program."""
        with pytest.raises(TaskError, match="no working directory"):
            await runner.run(Command(("true",), tmp_path / "gone", ENV), lines)

    async def test_too_long_value(self, runner, lines):
        """A value larger than the kernel takes is an error that says how to hand it over."""
        with pytest.raises(TaskError, match="inputFiles"):
            await runner.run(shell(":", BIG="x" * 200_000), lines)


class TestNothingStaysBehind:
    async def test_background_process_that_keeps_the_pipe(self, runner, lines):
        """A process left in the background neither holds the run up nor outlives it."""
        started = time.monotonic()
        exit_ = await runner.run(shell("sleep 600 & echo $!"), lines)

        assert (exit_.code, is_alive(int(lines.of("stdout")[0]))) == (0, False)
        assert time.monotonic() - started < DEADLINE_SECONDS

    async def test_background_process_without_the_pipe(self, runner, lines):
        """A process that gave up its output and its session is ended, too."""
        await runner.run(shell("setsid sleep 600 >/dev/null 2>&1 & echo $!"), lines)

        assert not Tree(runner.task_run_id).members()

    async def test_timeout_ends_the_tree(self, runner, lines):
        """After the timeout, processes that ignore SIGTERM and left the session are killed."""
        stubborn = "trap '' TERM; while :; do sleep 1; done"
        script = f'setsid sh -c "echo \\$\\$; {stubborn}" & {stubborn}'
        exit_ = await runner.run(shell(script, timeout=0.5), lines)

        assert (exit_.timed_out, is_alive(int(lines.of("stdout")[0]))) == (True, False)

    async def test_timeout_is_polite_first(self, runner, lines):
        """SIGTERM gives a program the chance to say goodbye, and what it says still arrives."""
        await runner.run(shell("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", timeout=0.3), lines)

        assert lines.of("stdout") == ["bye"]

    async def test_cancellation_ends_the_tree(self, runner, lines):
        """Cancelling the run ends every process before the cancellation goes on."""
        task = asyncio.create_task(runner.run(shell("setsid sleep 600 & sleep 600 & echo ready; wait"), lines))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not lines:
                await asyncio.sleep(0.01)
        assert len(Tree(runner.task_run_id).members()) >= 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not Tree(runner.task_run_id).members()

    async def test_environment_cleared_in_the_session(self, runner, lines):
        """A process that hides its environment is found by its session."""
        await runner.run(shell("env -i sh -c 'sleep 600 >/dev/null 2>&1 & echo $!'"), lines)

        assert not is_alive(int(lines.of("stdout")[0]))


class TestKillSurvivors:
    def test_orphans_of_a_task_run_are_killed(self):
        """Processes marked with the task run's id die, with descendants that hide the mark, and others live."""
        mine, other = uuid.uuid4().hex, uuid.uuid4().hex
        hidden = "setsid env -i sleep 600 & setsid sleep 600 & wait"
        orphan = subprocess.Popen(("sh", "-c", hidden), env={**ENV, COOKIE: mine}, start_new_session=True)
        bystander = subprocess.Popen(("sleep", "600"), env={**ENV, COOKIE: other})
        try:
            wait_until(lambda: len(Tree(mine).members()) >= 3, "the orphans start")

            assert kill_survivors(mine) >= 3
            assert (orphan.wait(DEADLINE_SECONDS), bystander.poll()) == (-signal.SIGKILL, None)
            assert not Tree(mine).members()
        finally:
            kill_survivors(mine)
            bystander.kill()
            bystander.wait()

    def test_nothing_to_kill(self):
        """Asking again, or for a run without processes, kills nothing."""
        assert kill_survivors(uuid.uuid4().hex) == 0
