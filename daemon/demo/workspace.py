"""The folder the demo works in."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from tidewaiter.config.settings import Settings
from tidewaiter.daemon.demo.repository import make_repository, redirect

BUCKET = "declarative-orchestration"
PREFIX = "raw/"
ARCHIVE = "archive/raw/"
FLOW = "s3TriggerCommands.yaml"
_CLONED = "https://github.com/kestra-io/examples"
_SETTINGS = """\
# A task that asks for a container runs as a process of this machine.
runners:
  docker: process
# The repository that the flow clones is a local one: see the file 'gitconfig'.
git:
  allowed_protocols: [https, file]
  config_file: {config_file}
grace_period: PT5S
"""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder *root* (absolute) and what is in it."""

    root: Path

    @property
    def flows(self) -> Path:
        """The folder with the flow."""
        return self.root / "flows"

    @property
    def messy(self) -> Path:
        """The folder with the files to drop, each at the path that is its key."""
        return self.root / "messy"

    @property
    def outputs(self) -> Path:
        """Where the files that the executions gave out are copied to."""
        return self.root / "outputs"

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "settings.yaml"

    @property
    def log(self) -> Path:
        """What the daemon logs."""
        return self.root / "tidewaiter.log"

    @property
    def settings(self) -> Settings:
        """Settings to ask the daemon with."""
        return Settings(state_dir=self.root / "state")

    def prepare(self) -> None:
        """
        Put everything in place.

        Raises:
            TidewaiterError: git is not installed, or failed.
        """
        with as_file(files(__package__) / "files") as source:
            shutil.copytree(source / "messy", self.messy)
            self.flows.mkdir()
            shutil.copyfile(source / FLOW, self.flows / FLOW)
        make_repository(self.root / "examples")
        gitconfig = self.root / "gitconfig"
        redirect(_CLONED, self.root / "examples", gitconfig)
        self.config.write_text(_SETTINGS.format(config_file=json.dumps(str(gitconfig))), encoding="utf-8")

    def arrivals(self) -> Iterator[tuple[str, Path]]:
        """Give the key and the file of every object to drop, in the order of the keys."""
        return ((path.relative_to(self.messy).as_posix(), path) for path in sorted(self.messy.rglob("*.csv")))

    def last_words(self, lines: int = 15) -> list[str]:
        """Give the last lines the daemon has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if self.log.exists() else []
