"""Tidewaiter as its user has it: a process of its own, told everything by files, arguments and variables."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from stores.seaweedfs import Store

from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.ask import ask

T = TypeVar("T")
_LOOK_SECONDS = 0.05
_ENDED = {"SUCCESS", "WARNING", "FAILED", "KILLED"}


def user_environment(home: Path, endpoint_url: str, access_key_id: str, secret_key_id: str) -> dict[str, str]:
    """What a user sets for the seed's flow: the endpoint and the secrets, nothing else."""
    secrets = {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_key_id,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        **{f"SECRET_{name}": base64.b64encode(value.encode()).decode() for name, value in secrets.items()},
    }


@dataclass
class Daemon:
    """
    A folder of flows, a state directory and the process that works on them; not started before `start`.

    *environment* is all the process sees; change it, or `options`, between two starts. *program* is what Python runs.
    """

    folder: Path
    environment: dict[str, str]
    options: list[str] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    program: Sequence[str] = ("-m", "tidewaiter.daemon")

    def __post_init__(self) -> None:
        self.flows.mkdir(parents=True)

    @property
    def flows(self) -> Path:
        return self.folder / "flows"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """What the present process, or the last one, has logged."""
        return self.folder / f"daemon-{self.starts}.log"

    @property
    def ledger(self) -> Path:
        """The file that tasks append a line to: what they did outside of Tidewaiter."""
        return self.folder / "ledger"

    def add_flow(self, flow: Mapping[str, Any] | str, name: str = "flow.yaml") -> Path:
        """Put a flow file in place at once, as a rename does; JSON is YAML."""
        text = flow if isinstance(flow, str) else json.dumps(flow, indent=1)
        hidden = self.flows / f".{name}"
        hidden.write_text(text, encoding="utf-8")
        return hidden.replace(self.flows / name)

    def start(self, *arguments: str, under: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start the daemon, *under* another program if given."""
        assert self.process is None or self.process.poll() is not None
        self.starts += 1
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*under, *self.command("run", "--flows", str(self.flows), *self.options, *arguments)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        return self.process

    def command(self, *arguments: str) -> list[str]:
        where = [] if arguments[0] == "validate" else ["--state-dir", str(self.state)]
        return [sys.executable, *self.program, *arguments, *where]

    async def once(self, *arguments: str, seconds: float = 60) -> int:
        """Run with ``--once`` to its end; gives the exit code."""
        self.start("--once", *arguments)
        return await self.ended(seconds)

    async def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Use the command line beside the daemon."""
        return await asyncio.to_thread(
            subprocess.run,
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )

    async def ready(self) -> None:
        """Wait until it serves."""
        await self.until(lambda: self.logged("ready"), "the daemon to be ready")

    async def ended(self, seconds: float = 30) -> int:
        """Wait for the end of the process and give its exit code."""
        process = self.process
        assert process is not None
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
        assert process.returncode is not None, f"still running after {seconds} s\n{self.last_words()}"
        return process.returncode

    async def stop(self, signum: int = signal.SIGTERM, seconds: float = 40) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        return await self.ended(seconds)

    def kill(self) -> None:
        """``kill -9``: of the daemon alone, not of what it has started."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Leave nothing running: the daemon, and whatever program of a task may have outlived it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for pid in processes_under(self.folder):
            os.kill(pid, signal.SIGKILL)

    async def ask(self, path: str, **query: str) -> Any:
        """What ``tidewaiter … --json`` prints."""
        return await asyncio.to_thread(ask, Settings(state_dir=self.state), "GET", path, **query)

    async def executions(self) -> list[dict[str, Any]]:
        """Every execution, oldest first."""
        return (await self.ask("executions", limit="100000"))[::-1]

    async def execution(self) -> dict[str, Any]:
        """The only execution, with its task runs."""
        (found,) = await self.executions()
        return await self.ask(f"executions/{found['id']}")

    async def trigger(self) -> dict[str, Any]:
        """The only trigger."""
        (found,) = await self.ask("triggers")
        return found

    async def task_log(self, execution_id: str) -> str:
        """What the tasks of an execution had to say."""
        return "\n".join(line["message"] for line in await self.ask(f"executions/{execution_id}/logs"))

    async def until(
        self, condition: Callable[[], Awaitable[T] | T], what: str = "the condition", *, seconds: float = 30
    ) -> T:
        """Look at *condition* until it gives something; fails when the daemon ends or *seconds* pass."""
        deadline = time.monotonic() + seconds
        while True:
            given = condition()
            found = await given if isinstance(given, Awaitable) else given
            if found:
                return found
            running = self.process is not None and self.process.poll() is None
            assert running, f"the daemon ended while waiting for {what}\n{self.last_words()}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.last_words()}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_ended(self, number: int, *, seconds: float = 30) -> list[dict[str, Any]]:
        """Wait until *number* executions have ended, and give all."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.executions()
            return found if sum(item["state"] in _ENDED for item in found) >= number else []

        return await self.until(enough, f"{number} executions to end", seconds=seconds)

    async def until_looked(self, times: int = 1) -> None:
        """Wait until the trigger has listed its prefix *times* times more."""
        for _ in range(times):
            before = (await self.trigger())["lastPoll"]

            async def later(before: str | None = before) -> bool:
                last = (await self.trigger())["lastPoll"]
                return last is not None and last != before

            await self.until(later, "another look of the trigger")

    def records(self) -> list[dict[str, Any]]:
        """The daemon's own log since its last start."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log's records of *event*."""
        return [record for record in self.records() if record["event"] == event]

    def done(self) -> list[str]:
        """The lines of the ledger."""
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def last_words(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-30:])


def processes_under(folder: Path) -> list[int]:
    """The processes that work in *folder* or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def make_daemon(folder: Path, store: Store, **settings: str) -> Daemon:
    """Prepare a daemon for *store*; container tasks run as processes, *settings* are further variables."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = user_environment(folder, store.endpoint_url, store.access_key_id, store.secret_key_id)
    environment["TIDEWAITER_RUNNERS__DOCKER"] = "process"
    return Daemon(folder, environment | settings)
