"""All steps, one after another, each only as far as the flow still means what it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.flows import parse_flow
from tidewaiter.daemon.migrate.local_files import local_files
from tidewaiter.daemon.migrate.names import loops, property_names, type_names
from tidewaiter.daemon.migrate.runners import runners
from tidewaiter.daemon.migrate.scripts import scripts
from tidewaiter.daemon.migrate.source import Change, Found, Left, Source, applied

Step = Callable[[Source], Iterator[Found]]

STEPS: tuple[Step, ...] = (property_names, scripts, runners, loops, local_files, type_names)
"""In this order: what a step leaves outdated, a later one rewrites."""

_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Note:
    """Something outdated that is left as it is, with its place in the migrated text."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Migrated:
    """A flow's *text* in its present form, and what could not be brought into it."""

    text: str
    notes: tuple[Note, ...]


def migrate(text: str, file: str) -> Migrated:
    """
    Rewrite the flow in *text*. Doing it again changes nothing; a flow that loads still does.

    Raises:
        ConfigError: it is no YAML, or empty.
    """
    expressions = Expressions()
    loads = _loads(text, file, expressions)
    notes: list[Note] = []
    for step in STEPS:
        changed, left = _done(step, text, file)
        if changed != text and (not _reads(changed, file) or (loads and not _loads(changed, file, expressions))):
            name = step.__name__.replace("_", " ")
            notes.append(Note(file, 1, 1, f"the {name} are left as they are: the flow could not be read any more"))
            continue
        text = changed
        notes += left
    return Migrated(text, tuple(notes))


def _done(step: Step, text: str, file: str) -> tuple[str, list[Note]]:
    """Do *step* until it finds nothing more; a change may make room for the next."""
    for _ in range(_ROUNDS):
        source = Source.of(text, file)
        found = list(step(source))
        changes = [item for item in found if isinstance(item, Change)]
        if not changes:
            break
        text = applied(text, changes)
    return text, [_note(source, item, file) for item in found if isinstance(item, Left)]


def _note(source: Source, left: Left, file: str) -> Note:
    line = source.text.count("\n", 0, left.offset) + 1
    return Note(file, line, source.column(left.offset) + 1, left.message)


def _reads(text: str, file: str) -> bool:
    try:
        parse(text, file)
    except ConfigError:
        return False
    return True


def _loads(text: str, file: str, expressions: Expressions) -> bool:
    try:
        parse_flow(text, file, expressions)
    except ConfigError:
        return False
    return True
