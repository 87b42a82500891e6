"""What every measurement works with: the store, the programs, a folder, and how much to do."""

import base64
import os
import random
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.process import Ended, run
from tidewaiter.daemon.demo.seaweedfs import Store

BUCKET = "bench"
_ROUND = re.compile(r"round-\d+")


@dataclass(frozen=True, slots=True)
class Sizes:
    """
    How much to measure.

    *rounds*: of each comparison; *objects*: of 1 KB, taken in per round; *arrivals*: single objects whose latency is
    taken; *seconds*: of idling; *starts*: of the program; *tasks*: of one execution; *keys*: of the prefix polled.
    """

    rounds: int = 5
    objects: int = 500
    arrivals: int = 60
    seconds: int = 30
    starts: int = 10
    tasks: int = 40
    keys: int = 20_000


QUICK = Sizes(rounds=3, objects=200, arrivals=12, seconds=10, starts=5, tasks=20, keys=2_000)


@dataclass(slots=True)
class Stage:
    """
    Shared by all measurements. *program* is the ``tidewaiter`` that is measured, *folder* is thrown away at the end,
    *commands* gathers each different command that was measured.
    """

    store: Store
    program: Path
    s5cmd: Path
    folder: Path
    sizes: Sizes
    seed: int
    commands: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    def fresh(self, *names: str) -> Path:
        """Make a new folder."""
        folder = self.folder.joinpath(*names)
        folder.mkdir(parents=True)
        return folder

    def chance(self, name: str) -> random.Random:
        """Give random numbers that are the same whenever the seed is, whatever else is measured."""
        return random.Random(f"{self.seed} {name}")

    def progress(self, text: str) -> None:
        """Say on stderr what goes on."""
        print(f"bench: {time.monotonic() - self.begin:4.0f} s  {text}", file=sys.stderr, flush=True)

    @property
    def environment(self) -> dict[str, str]:
        """All that measured programs see: keys for the store, and nothing of this machine's own configuration."""
        keys = {"AWS_ACCESS_KEY_ID": self.store.access_key_id, "AWS_SECRET_ACCESS_KEY": self.store.secret_key_id}
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.store.endpoint_url,
            "AWS_REGION": self.store.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            **keys,
            **{f"SECRET_{name}": base64.b64encode(value.encode()).decode() for name, value in keys.items()},
        }

    def measured(self, command: Sequence[str], folder: Path, name: str) -> Ended:
        """
        Run a command that belongs to a measurement, its output into *folder*; it is listed below the table.

        Raises:
            RuntimeError: it failed; with its last words.
        """
        self.note(command)
        output = folder / f"{name}.log"
        ended = run(command, self.environment, folder, output)
        if ended.code:
            raise RuntimeError(f"{shlex.join(command)} ended with {ended.code}:\n{output.read_text()[-2000:]}")
        return ended

    def peer(self, folder: Path, *arguments: str) -> Ended:
        """Run s5cmd as a measured command. It is its program itself, without the Python that starts it."""
        return self.measured([*self._s5cmd, *arguments], folder, f"s5cmd-{arguments[0]}")

    def prepare(self, folder: Path, *arguments: str) -> list[str]:
        """Run s5cmd outside of any measurement; gives its lines."""
        output = folder / "prepare.log"
        ended = run([*self._s5cmd, *arguments], self.environment, folder, output)
        lines = output.read_text().splitlines()
        if ended.code and not any("no object found" in line for line in lines):
            raise RuntimeError(f"s5cmd {shlex.join(arguments)} ended with {ended.code}: {lines[-5:]}")
        return lines if not ended.code else []

    @property
    def _s5cmd(self) -> list[str]:
        return [str(self.s5cmd), "--endpoint-url", self.store.endpoint_url]

    def note(self, command: Sequence[str]) -> None:
        """List a command below the table, once, with what differs from run to run left open."""
        text = shlex.join(command)
        for value, name in (
            (str(self.program), "tidewaiter"),
            (str(self.s5cmd), "s5cmd"),
            (str(self.folder), "$WORK"),
            (self.store.endpoint_url, "$ENDPOINT"),
        ):
            text = text.replace(value, name)
        text = _ROUND.sub("round-N", text)
        if text not in self.commands:
            self.commands.append(text)
