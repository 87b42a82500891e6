"""What task tests share: internal storage in a directory, a log that remembers, and task contexts."""

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.errors import TaskError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.tasks.context import GitSettings, Level, RunnerSettings, TaskContext


@dataclass
class DirectoryFiles:
    """Internal storage in one directory: the contract of `tidewaiter.tasks.context.Files`, without durability."""

    root: Path

    def owns(self, text: str) -> bool:
        return text.startswith("kestra:///")

    def path(self, uri: str) -> Path:
        if not self._at(uri).is_file():
            raise TaskError(f"there is no file {uri}")
        return self._at(uri)

    def _at(self, uri: str) -> Path:
        return self.root / uri.removeprefix("kestra:///")

    async def fetch(self, uri: str, destination: Path) -> None:
        source = self.path(uri)
        if destination.exists() or destination.is_symlink():
            raise FileExistsError(destination)
        shutil.copyfile(source, destination)

    async def delete(self, uri: str) -> bool:
        there = self._at(uri).is_file()
        self._at(uri).unlink(missing_ok=True)
        return there

    async def store(self, source: Path, name: str) -> str:
        if source.is_symlink() or not source.is_file():
            raise TaskError(f"{source} is not a regular file")
        uri = f"kestra:///test/{uuid.uuid4().hex}-{Path(name).name}"
        self._at(uri).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self._at(uri))
        return uri

    def put(self, content: str, name: str = "data.csv") -> str:
        """Store *content* and give its URI."""
        uri = f"kestra:///test/{uuid.uuid4().hex}/{name}"
        self._at(uri).parent.mkdir(parents=True)
        self._at(uri).write_text(content)
        return uri

    def text(self, uri: str) -> str:
        return self.path(uri).read_text()


@dataclass
class Values:
    """Real expressions over *variables*."""

    expressions: Expressions = field(default_factory=Expressions)
    variables: dict[str, Any] = field(default_factory=dict)

    def render(self, source: str, more: Mapping[str, Any] | None = None) -> str:
        return self.expressions.render(source, Scope({**self.variables, **(more or {})}))

    def evaluate(self, source: str, more: Mapping[str, Any] | None = None) -> Any:
        return self.expressions.evaluate(source, Scope({**self.variables, **(more or {})}))


@dataclass
class MemoryLog:
    """The log of one task run, kept as a list."""

    records: list[tuple[Level, str]] = field(default_factory=list)

    def __call__(self, level: Level, message: str) -> None:
        self.records.append((level, message))

    def at(self, level: Level) -> list[str]:
        return [message for recorded, message in self.records if recorded == level]


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> DirectoryFiles:
    return DirectoryFiles(tmp_path / "storage")


@pytest.fixture(name="log")
def _log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(name="values")
def _values() -> Values:
    return Values()


@pytest.fixture(name="make_context")
def _make_context(tmp_path: Path, files: DirectoryFiles, values: Values, log: MemoryLog) -> Callable[..., TaskContext]:
    def make(**changes: object) -> TaskContext:
        for name in ("work", "scratch", "cache"):
            (tmp_path / name).mkdir(exist_ok=True)
        given = {
            "workdir": tmp_path / "work",
            "scratch": tmp_path / "scratch",
            "cache": tmp_path / "cache",
            "files": files,
            "kv": None,
            "stores": None,
            "rendering": values,
            "log": log,
            "environment": {"EXECUTION_ID": "e1"},
            "runners": RunnerSettings(docker="process"),
            "git": GitSettings(),
            "task_run_id": uuid.uuid4().hex,
        }
        return TaskContext(**{**given, **changes})  # type: ignore[arg-type] # given by name

    return make


@pytest.fixture(name="context")
def _context(make_context: Callable[..., TaskContext]) -> TaskContext:
    return make_context()
