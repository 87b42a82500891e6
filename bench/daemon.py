"""A measured daemon: a process of the installed program in a folder of its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.flows import Data
from bench.process import Ended, wait
from bench.stage import Stage
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.ask import ask

_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 120
_READY = b'"event": "ready"'


@dataclass(slots=True)
class Daemon:
    """
    ``tidewaiter run`` on *flows*, with its state and log in *folder*. *under* names a program that runs it;
    *arguments* are further ones.
    """

    stage: Stage
    folder: Path
    flows: Sequence[Data]
    arguments: Sequence[str] = ()
    under: Sequence[str] = ()
    begin: float = field(default=0.0, init=False)
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What it says on stdout and stderr."""
        return self.folder / "daemon.log"

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.folder / "state"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """Start it and wait until it serves; gives the seconds that took. Raises `RuntimeError` if it does not."""
        flows = self.folder / "flows"
        flows.mkdir(parents=True)
        for flow in self.flows:
            (flows / f"{flow['id']}.yaml").write_text(json.dumps(flow, indent=1))
        command = [str(self.stage.program), "run", "--flows", str(flows), "--state-dir", str(self.state), "--no-web"]
        command = [*self.under, *command, *self.arguments]
        self.stage.note(command)
        with self.log.open("wb") as log:
            self.begin = time.monotonic()
            self.process = subprocess.Popen(
                command,
                env=self.stage.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.until(lambda: _READY in self.log.read_bytes(), "get ready")
        return time.monotonic() - self.begin

    def ended(self) -> Ended:
        """Wait for its own end (``--once``). Raises `RuntimeError` if it fails."""
        assert self.process is not None
        ended = wait(self.process, self.begin)
        if ended.code:
            raise RuntimeError(f"the daemon ended with {ended.code}\n{self.last_words()}")
        return ended

    def stop(self) -> None:
        """End it as a service manager would, and make sure of it."""
        if self.process is None or self.process.poll() is not None:
            return
        # The group: strace keeps signals from the program that it runs.
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask(self, path: str, method: str = "GET", **query: str) -> Any:
        """Give what ``tidewaiter … --json`` prints; works with the daemon and after its end."""
        return ask(Settings(state_dir=self.state), method, path, **query)

    def executions(self) -> list[dict[str, Any]]:
        """Every execution, newest first."""
        found: list[dict[str, Any]] = self.ask("executions", limit="100000")
        return found

    def until(self, condition: Callable[[], Any], what: str, *, look_seconds: float = _LOOK_SECONDS) -> Any:
        """Wait until *condition* gives something. Raises `RuntimeError` when the daemon ends or takes too long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (found := condition()):
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon did not {what}\n{self.last_words()}")
            time.sleep(look_seconds)
        return found

    def last_words(self) -> str:
        """Give the end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


@contextmanager
def serving(daemon: Daemon) -> Iterator[Daemon]:
    """Run *daemon* while the block lasts, ready to work."""
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
