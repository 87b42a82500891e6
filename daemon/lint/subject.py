"""A flow as rules see it: its data with the specs that describe it, its text, and what loading it says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tidewaiter.config.document import Document, Node, Path, Position, nodes, parse
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.config.load import validate
from tidewaiter.config.parts import Part, parts
from tidewaiter.daemon.flows import TYPES, AnyFlow
from tidewaiter.daemon.lint.splices import Splice, splices


@dataclass(frozen=True)
class Subject:
    """
    One flow file. *problems* are what keeps it from loading; *parts* are those of the data, whether it loads or not.
    """

    document: Document
    text: str
    parts: tuple[Part, ...] = ()
    problems: tuple[Problem, ...] = ()
    _nodes: Node = field(default=Node(0, 0, "plain"))

    @classmethod
    def of(cls, text: str, file: str, expressions: Expressions) -> "Subject":
        """Look at the flow in *text*."""
        try:
            document = parse(text, file)
        except ConfigError as error:
            return cls(Document(file, None, {}, {}), text, (), error.problems)
        if not text.strip() or document.data is None:
            return cls(document, text, (), _problems(document, expressions))
        return cls(
            document,
            text,
            tuple(parts(document.data, AnyFlow)),
            _problems(document, expressions),
            nodes(text),
        )

    @property
    def flow(self) -> Mapping[str, Any]:
        """The whole flow as written; empty if it is no map."""
        return self.document.data if isinstance(self.document.data, Mapping) else {}

    def under(self, name: str) -> Iterator[Part]:
        """The parts directly in a list of the flow, such as ``triggers``."""
        return (part for part in self.parts if len(part.path) == 2 and part.path[0] == name)

    def key(self, path: Path) -> Position:
        """Where the key that *path* ends with stands; the value, when it has no key of its own."""
        return self.document.keys.get(path) or self.value(path)

    def value(self, path: Path) -> Position:
        """Where the value at *path* stands, or the nearest part around it."""
        while path and path not in self.document.positions:
            path = path[:-1]
        return self.document.positions.get(path, (1, 1))

    def splices(self, path: Path) -> Iterator[tuple[Splice, Position]]:
        """The expressions in all text at or below *path*, with the place of each."""
        for where, text in self._strings(path):
            for splice in splices(text):
                yield splice, self._opening(where, splice.number)

    @cached_property
    def _all_strings(self) -> tuple[tuple[Path, str], ...]:
        return tuple(self.document.strings())

    def _strings(self, path: Path) -> Iterable[tuple[Path, str]]:
        return ((where, text) for where, text in self._all_strings if where[: len(path)] == path)

    def _opening(self, path: Path, number: int) -> Position:
        """Where the expression *number* (from 0) in the text at *path* opens."""
        node = self._nodes.at(path)
        at = node.start if node else -1
        for _ in range(number + 1):
            found = [offset for mark in ("{{", "{%") if (offset := self.text.find(mark, at)) >= 0]
            if node is None or not found or min(found) >= node.end:
                return self.value(path)
            at = min(found) + 2
        return self._position(at - 2)

    def _position(self, offset: int) -> Position:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1


def _problems(document: Document, expressions: Expressions) -> tuple[Problem, ...]:
    try:
        validate(document, AnyFlow, expressions, TYPES)
    except ConfigError as error:
        return error.problems
    return ()
