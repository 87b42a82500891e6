"""
YAML 1.2 text to plain data, remembering where everything stood.

PyYAML's parser gives the events; the data is built here, so that its limits hold before anything is allocated
(reliability.md §4.2): size, depth, number of nodes after aliases are expanded. Scalars follow the YAML 1.2 core
schema: ``on`` and ``no`` are text, dates stay text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import yaml

from tidewaiter.config.errors import ConfigError, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000

Path = tuple[str | int, ...]
Position = tuple[int, int]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_COLLECTIONS = frozenset({None, "!", f"{_CORE}map", f"{_CORE}seq"})
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")
_RESOLVERS: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|"), lambda _text: None),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    ("int", re.compile(r"[-+]?\d+"), int),
    ("int", re.compile(r"0o[0-7]+"), lambda text: int(text, 0)),
    ("int", re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    ("float", _FLOAT, float),
    ("float", re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


@dataclass(frozen=True, slots=True)
class Document:
    """
    The data of one YAML document and the positions of its parts.

    *positions* maps a path of keys and indexes to the line and column (from 1) of the value, *keys* to those of the
    key itself. *problems* are mistakes that did not keep the data from being read: duplicate keys and unusable ones.
    """

    file: str
    data: Any
    positions: Mapping[Path, Position]
    keys: Mapping[Path, Position]
    problems: tuple[Problem, ...] = ()

    def problem(self, path: Path, message: str, hint: str | None = None, *, at_key: bool = False) -> Problem:
        """Make a problem that points at *path*, or at the nearest part around it that has a position."""
        if at_key and path in self.keys:
            return Problem(self.file, *self.keys[path], message, hint)
        while path and path not in self.positions:
            path = path[:-1]
        return Problem(self.file, *self.positions.get(path, (1, 1)), message, hint)

    def strings(self, skip: frozenset[str] = frozenset()) -> Iterator[tuple[Path, str]]:
        """Every text in the data with its path, but for what stands under a key in *skip*."""
        return _strings(self.data, (), skip)


def _strings(value: Any, path: Path, skip: frozenset[str]) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in skip:
                yield from _strings(item, (*path, key), skip)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index), skip)


def parse(text: str, file: str) -> Document:
    """
    Read one YAML document. An empty text gives None as data.

    Raises:
        ConfigError: not YAML, more than one document, or past a limit; the problem has file, line and column.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise ConfigError(
            [Problem(file, line, 1, "not valid YAML: half of a surrogate pair is no character")]
        ) from error
    if size > MAX_BYTES:
        raise ConfigError([Problem(file, 0, 0, f"the file is larger than {MAX_BYTES >> 20} MiB", "split the flow")])
    builder = _Builder(file)
    try:
        return builder.document(iter(yaml.parse(text, Loader=_Loader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(file, *at, f"not valid YAML: {message}", _syntax_hint(text, at[0]))]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(file, 1, 1, f"not valid YAML: {' '.join(str(error).split())}")]) from error


def _syntax_hint(text: str, line: int) -> str | None:
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "indent with spaces, YAML does not allow tabs"
    if re.search(r":\s+\{\{", here):
        return 'put an expression in quotes: "{{ … }}"'
    return None


@dataclass(slots=True)
class _Builder:
    """Builds data from parser events, one method per kind of node."""

    file: str
    positions: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    nodes: int = 0

    def document(self, events: Iterator[Any]) -> Document:
        data = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self.positions:
                    self._fail(event, "a second document starts here", "keep one flow per file")
                data = self._node(next(events), events, ())
        return Document(self.file, data, self.positions, self.keys, tuple(self.problems))

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.positions[path] = _position(event)
        self._count(event, 1)
        if len(path) > MAX_DEPTH:
            self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self.nodes
        value = self._content(event, events, path)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def _content(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if event.tag not in _COLLECTIONS:
            self._fail(event, f"tag '{event.tag}' cannot be used here", "write the value without a tag")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            self._fail(event, f"alias '*{event.anchor}' has no anchor before it")
        value, size = self.anchors[event.anchor]
        self._count(event, size)
        return value

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key, at = self._key(event), _position(event)
            value = self._node(next(events), events, (*path, key))
            if key == "<<" and event.implicit[0]:
                self._merge(event, merged, value)
            elif key in own:
                self.problems.append(Problem(self.file, *at, f"duplicate key '{key}'", "keep one of the two"))
            else:
                own[key] = value
                self.keys[(*path, key)] = at
        return {**{key: item for key, item in merged.items() if key not in own}, **own}

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(event, "a key must be plain text", 'an expression as a value needs quotes: "{{ … }}"')
        return str(event.value)

    def _merge(self, event: Any, merged: dict[str, Any], value: Any) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self._fail(event, "'<<' merges maps only")
            self._count(event, len(source))
            for key, item in source.items():
                merged.setdefault(key, item)

    def _scalar(self, event: Any) -> Any:
        tag = (event.tag or "").removeprefix(_CORE)
        if tag == "str" or (not tag and not event.implicit[0]):
            return event.value
        for name, pattern, read in _RESOLVERS:
            if tag in {"", "!", name} and pattern.fullmatch(event.value):
                return read(event.value) if len(event.value) <= 4000 else event.value
        if tag not in {"", "!"}:
            self._fail(
                event, f"tag '{event.tag}' cannot be used on '{event.value[:40]}'", "write the value without a tag"
            )
        return event.value

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._fail(event, f"more than {MAX_NODES} values after aliases are expanded")

    def _fail(self, event: Any, message: str, hint: str | None = None) -> None:
        raise ConfigError([Problem(self.file, *_position(event), message, hint)])


def _position(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


Style = Literal["plain", "'", '"', "|", ">", "block", "flow", "alias"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One property of a map: where its key stands, and its value."""

    key: "Node"
    value: "Node"


@dataclass(frozen=True, slots=True)
class Node:
    """
    A value in the text of a document, for those who edit it: offsets *start* to *end*, without space around it.

    A value that is not written, as in ``key:``, is empty and stands where it would begin.
    """

    start: int
    end: int
    style: Style
    text: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    items: tuple["Node", ...] = ()

    def at(self, path: Path) -> "Node | None":
        """The node that *path* leads to from here; None where an alias or a merge is in the way."""
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, int):
                node = node.items[step] if step < len(node.items) else None
            else:
                node = node.entries[step].value if step in node.entries else None
        return node


def nodes(text: str) -> Node:
    """
    Give where everything stands in *text*, one that `parse` has read.

    Raises:
        ConfigError: there is nothing in it.
    """
    events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            return _place(next(events), events, text)
    raise ConfigError([Problem("", 0, 0, "the file is empty")])


def _place(event: Any, events: Iterator[Any], text: str) -> Node:
    """Build the node that begins with *event*; its marks count characters."""
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, yaml.AliasEvent):
        return Node(start, end, "alias")
    if isinstance(event, yaml.ScalarEvent):
        return Node(start, start + len(text[start:end].rstrip()), cast("Style", event.style or "plain"), event.value)
    style: Style = "flow" if event.flow_style else "block"
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_place(event, events, text))
        return Node(start, _end(event, style, items), style, items=tuple(items))
    entries: dict[str, Entry] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _place(event, events, text)
        entries.setdefault(key.text, Entry(key, _place(next(events), events, text)))
    return Node(start, _end(event, style, [entry.value for entry in entries.values()]), style, entries=entries)


def _end(event: Any, style: Style, inner: list[Node]) -> int:
    """A block ends with what is last in it; the parser puts its end where the next thing begins."""
    return inner[-1].end if style == "block" and inner else int(event.end_mark.index)
