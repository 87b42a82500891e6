"""A folder of flow files to an immutable set of flows; a broken file keeps the flow it had and says why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from tidewaiter.config.document import Position, parse
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.config.flow import Flow
from tidewaiter.config.load import validate
from tidewaiter.config.spec import OneOf
from tidewaiter.tasks.tree import ANY_TASK, AnyTask
from tidewaiter.triggers.overlaps import Place, Reach, conflict, reach
from tidewaiter.triggers.s3 import TRIGGERS, BucketTrigger

SUFFIXES = (".yaml", ".yml")

ANY_TRIGGER = OneOf(TRIGGERS)
AnyTrigger = Annotated[BucketTrigger, ANY_TRIGGER]
"""Any trigger there is, selected by ``type``."""

AnyFlow = Flow[AnyTask, AnyTrigger]
"""A flow of the task and trigger types there are."""

TYPES = MappingProxyType({**ANY_TASK.names, **ANY_TRIGGER.names})
"""The current name behind each name of a task or trigger type."""

Rendering = Callable[[AnyFlow, BucketTrigger], BucketTrigger]
"""Gives a trigger with its expressions rendered as far as that can be done now."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A flow and the text it came from; *positions* tells line and column of each trigger."""

    path: Path
    source: str
    flow: AnyFlow
    positions: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowSet:
    """
    The flows in force, by full name, and what is wrong with files that are not.

    *signatures* tells changed files from unchanged ones at the next look.
    """

    flows: Mapping[str, FlowFile] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()
    signatures: Mapping[Path, Signature] = field(default_factory=lambda: MappingProxyType({}))


def parse_flow(text: str, file: str, expressions: Expressions) -> AnyFlow:
    """
    Read one flow.

    Raises:
        ConfigError: every mistake in it, with line and column.
    """
    return validate(parse(text, file), AnyFlow, expressions, TYPES)


def flow_files(paths: Iterable[Path]) -> list[Path]:
    """
    Give the flow files among *paths*, folders walked, sorted, hidden ones and symlinked folders left out.

    Raises:
        ConfigError: one of *paths* does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file
                for file in path.rglob("*")
                if file.suffix in SUFFIXES and _visible(file.relative_to(path)) and not file.is_dir()
            )
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError(
                [Problem(str(path), 0, 0, "no such file or folder", "name a flow file or a folder of flows")]
            )
    return list(dict.fromkeys(found))


def _visible(relative: Path) -> bool:
    return not any(part.startswith(".") for part in relative.parts)


def read_flow(path: Path, expressions: Expressions) -> FlowFile:
    """Read the flow in the file *path*. Raises `ConfigError`, also when it cannot be read."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
    document = parse(source, str(path))
    flow = validate(document, AnyFlow, expressions, TYPES)
    positions = tuple(document.positions["triggers", index] for index in range(len(flow.triggers)))
    return FlowFile(path, source, flow, positions)


def _as_written(_flow: AnyFlow, trigger: BucketTrigger) -> BucketTrigger:
    return trigger


def load_flows(
    paths: Sequence[Path], expressions: Expressions, before: FlowSet | None = None, rendering: Rendering = _as_written
) -> FlowSet:
    """
    Read every flow below *paths*. A broken file keeps the flow that *before* had from it; of two files with one flow
    id, or with triggers that get in each other's way as *rendering* shows them, the first one counts.
    """
    before = before or FlowSet()
    earlier = {file.path: file for file in before.flows.values()}
    admission = _Admission(rendering)
    signatures: dict[Path, Signature] = {}
    for path in flow_files(paths):
        signatures[path] = signature(path)
        file, mistakes = _load(path, expressions, before, earlier)
        admission.problems += mistakes
        # What a file had before is no way out when it is in the way of another flow, too.
        if file is not None and not admission.admit(file) and path in earlier:
            admission.admit(earlier[path], again=True)
    return FlowSet(MappingProxyType(admission.flows), tuple(admission.problems), MappingProxyType(signatures))


@dataclass(slots=True)
class _Admission:
    """Takes flows one by one, in the order of their files, each only if it goes with those before it."""

    rendering: Rendering
    flows: dict[str, FlowFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _reaches: list[Reach] = field(default_factory=list)

    def admit(self, file: FlowFile, *, again: bool = False) -> bool:
        """Take *file* if nothing is against it, else note what is, but for a second try; gives whether it was taken."""
        reaches = self._reaches_of(file)
        problem = self._duplicate(file) or conflict(self._reaches, reaches)
        if problem is None:
            self.flows[file.flow.path] = file
            self._reaches += reaches
        elif not again:
            self.problems.append(problem)
        return problem is None

    def _duplicate(self, file: FlowFile) -> Problem | None:
        name = file.flow.path
        if name not in self.flows:
            return None
        message = f"flow '{name}' is defined in {self.flows[name].path} already"
        return Problem(str(file.path), 1, 1, message, "give it another id")

    def _reaches_of(self, file: FlowFile) -> list[Reach]:
        flow = file.flow
        found = [
            reach(self.rendering(flow, trigger), Place(f"{flow.path}/{trigger.id}", str(file.path), *position))
            for trigger, position in zip(flow.triggers, file.positions, strict=True)
            if not (flow.disabled or trigger.disabled)
        ]
        return [item for item in found if item is not None]


def _load(
    path: Path, expressions: Expressions, before: FlowSet, earlier: Mapping[Path, FlowFile]
) -> tuple[FlowFile | None, Sequence[Problem]]:
    unchanged = path in before.signatures and before.signatures[path] == signature(path)
    if unchanged and path in earlier and not any(problem.file == str(path) for problem in before.problems):
        return earlier[path], ()
    try:
        return read_flow(path, expressions), ()
    except ConfigError as error:
        return earlier.get(path), error.problems


def changed(paths: Sequence[Path], before: FlowSet) -> bool:
    """Tell whether a look at *paths* would find anything but *before*: files that came, went or were written."""
    try:
        files = flow_files(paths)
    except ConfigError:
        return bool(before.signatures)
    return {path: signature(path) for path in files} != dict(before.signatures)


def signature(path: Path) -> Signature:
    """Give what changes when a file is written or replaced."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
