"""
Runs what could run on in a process of its own, so that it can be ended (reliability.md §4.2).

A jq program or regular expression cannot be interrupted inside the daemon. Those that a look at them and at the size
of their input shows to be harmless run here; the others go to one helper process, started when it is first needed and
again after it had to end: some 40 ms once, then some 100 µs for each request.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tidewaiter.config.errors import ExpressionError

_SCRIPT = Path(__file__).with_name("confined.py")
_TRIES = 3
_MAX_ANSWER = 32 * 1024 * 1024


class Confinement:
    """One helper process at a time, ended with this object or the program. Threads take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._end: weakref.finalize[Any, Any] | None = None
        self._code: int | None = None

    def ask(self, request: Mapping[str, Any]) -> Any:
        """
        Give the helper's answer to *request*.

        Raises:
            ValueError: what was asked for is malformed or failed, with the reason.
            ExpressionError: it took too much time or memory; the helper is gone, and the next request starts another.
        """
        with self._turn:
            line = self._answered(json.dumps(request) + "\n")
        if not line.endswith("\n"):
            raise ExpressionError("takes too long or too much memory", "make the expression or its input simpler")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["answer"]

    def _answered(self, line: str) -> str:
        """Ask again when somebody else ended the helper, such as the kernel, out of memory: that was not its doing."""
        answer = ""
        for _ in range(_TRIES):
            answer = self._exchange(line)
            if answer.endswith("\n") or self._code != -signal.SIGKILL:
                break
        return answer

    def _exchange(self, line: str) -> str:
        process = self._process or self._start()
        requests, answers = _pipes(process)
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            requests.write(line)
            requests.flush()
            answer = answers.readline(_MAX_ANSWER)
        if not answer.endswith("\n"):
            self._code = _code(process, answer)
            self._stop()
        return answer

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - the command is our own
            [sys.executable, "-I", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"HOME": "/nonexistent"},
            text=True,
            encoding="ascii",
            start_new_session=True,
        )
        self._process, self._end = process, weakref.finalize(self, _ended, process)
        return process

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._process = None


def _code(process: subprocess.Popen[str], answer: str) -> int | None:
    """Say how a helper ended that gave no whole answer; None if it goes on, with one that is too long."""
    return None if len(answer) >= _MAX_ANSWER else process.wait()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    for pipe in _pipes(process):
        with contextlib.suppress(OSError):
            pipe.close()
    process.wait()
