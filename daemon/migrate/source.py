"""The text of a flow with what stands where in it, and edits of it that leave everything else as it is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidewaiter.config.defaults import with_defaults
from tidewaiter.config.document import Entry, Node, nodes, parse
from tidewaiter.config.parts import Part, parts
from tidewaiter.daemon.flows import TYPES, AnyFlow


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """What stands from *start* to *end* becomes *text*."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """Edits that belong together: all are made, or none."""

    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Something outdated that is left as it is, and why."""

    offset: int
    message: str


Found = Change | Left


@dataclass(frozen=True, slots=True)
class Source:
    """A flow's text with its data, its parts and the nodes of its text."""

    text: str
    data: Any
    root: Node
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str, file: str) -> "Source":
        """
        Read *text*.

        Raises:
            ConfigError: it cannot be read as YAML, or is empty.
        """
        document = parse(text, file)
        return cls(text, document.data, nodes(text), tuple(parts(document.data, AnyFlow)))

    def node(self, part: Part) -> Node | None:
        """The node of *part*; None where an alias stands instead."""
        return self.root.at(part.path)

    def defaults(self, part: Part) -> frozenset[str]:
        """The properties that the flow's defaults give to what has the type of *part*."""
        probe = {**mapping(self.data), "tasks": [{"type": part.data.get("type")}]}
        return frozenset(with_defaults(probe, TYPES)["tasks"][0]) - {"type"}

    def column(self, offset: int) -> int:
        """How far from the beginning of its line *offset* is."""
        return offset - self.line_start(offset)

    def line_start(self, offset: int) -> int:
        """Where the line of *offset* begins."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Where the line of *offset* ends, its line break not counted."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end - (self.text[end - 1 : end] == "\r")

    def next_line(self, offset: int) -> int:
        """Where the line after that of *offset* begins."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    @property
    def newline(self) -> str:
        """The line break that the text uses."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def raw(self, node: Node) -> str:
        """A value as it is written."""
        return self.text[node.start : node.end]

    def has_comment(self, start: int, end: int, inside: Iterable[Node] = ()) -> bool:
        """Tell whether there is a comment from *start* to *end*, values of *inside* not looked at."""
        rest = self.text[start:end]
        for node in sorted(inside, key=lambda node: -node.start):
            rest = rest[: node.start - start] + rest[node.end - start :]
        return "#" in rest

    def below(self, entry: Entry, column: int) -> str:
        """What is written after the key of *entry*, moved so that the key may stand in *column*."""
        value = entry.value
        if value.style != "block":
            return f" {self.raw(value)}"
        shift = column - self.column(entry.key.start)
        indent = " " * (self.column(value.start) + shift)
        return f"{self.newline}{indent}{shifted(self.raw(value), shift)}"


def shifted(text: str, by: int) -> str:
    """*text* with all lines but its first indented further by *by*, which may be negative."""
    if by >= 0:
        return re.sub(r"\n(?=[^\r\n])", "\n" + " " * by, text)
    return re.sub(rf"\n {{0,{-by}}}", "\n", text)


def rewritten(node: Node, text: str) -> Edit:
    """Put *text* in the place of a scalar, in the quotes it has."""
    quoted = node.style in {"'", '"'}
    return Edit(node.start + quoted, node.end - quoted, text)


def property_before(source: Source, owner: Node, entry: Entry, name: str, value: str) -> Edit:
    """Add a property in front of *entry*; *value* follows its colon, the space included."""
    start = entry.key.start
    between = ", " if owner.style == "flow" else source.newline + " " * source.column(start)
    return Edit(start, start, f"{name}:{value}{between}")


def removed(source: Source, owner: Node, name: str) -> Edit | None:
    """Take a property away with its lines; None if a comment would be lost, or nothing would be left."""
    entries = list(owner.entries.values())
    at = list(owner.entries).index(name)
    entry, after = entries[at], entries[at + 1] if at + 1 < len(entries) else None
    if len(entries) == 1:
        return None
    if owner.style == "flow":
        edit = (
            Edit(entry.key.start, after.key.start, "")
            if after
            else Edit(entries[at - 1].value.end, entry.value.end, "")
        )
    elif not source.text[source.line_start(entry.key.start) : entry.key.start].strip():
        edit = Edit(source.line_start(entry.key.start), source.next_line(entry.value.end), "")
    elif after is not None:
        edit = Edit(entry.key.start, after.key.start, "")
    else:
        return None
    return None if source.has_comment(edit.start, edit.end, scalars(entry.value)) else edit


def item_removed(source: Source, sequence: Node, index: int, keeping: Sequence[Node]) -> Edit | None:
    """
    Take an item out of a block sequence with its lines, and the blank ones that parted it from the next; None if a
    comment would be lost. *keeping* is written elsewhere, with its comments.
    """
    item = sequence.items[index]
    dash = source.text.rfind("-", 0, item.start)
    start, end = source.line_start(dash), source.next_line(item.end)
    if source.text[start:dash].strip() or source.has_comment(start, end, [*keeping]):
        return None
    if index + 1 < len(sequence.items):
        return Edit(start, _past_blank(source.text, end), "")
    before = source.text[:start].rstrip(" \t\r\n")
    return Edit(source.next_line(len(before)), end, "")


def _past_blank(text: str, at: int) -> int:
    match = re.compile(r"(?:[ \t]*\r?\n)*").match(text, at)
    return match.end() if match else at


def scalars(node: Node) -> list[Node]:
    """Every scalar in *node*, keys included."""
    if not node.entries and not node.items:
        return [node] if node.style not in {"block", "flow"} else []
    of_entries = [scalar for entry in node.entries.values() for scalar in (entry.key, *scalars(entry.value))]
    return [*of_entries, *(scalar for item in node.items for scalar in scalars(item))]


def applied(text: str, changes: Iterable[Change]) -> str:
    """Make *changes*, but for those that get in the way of earlier ones."""
    made: list[Edit] = []
    for change in changes:
        if not any(_overlap(edit, other) for edit in change.edits for other in made):
            made += change.edits
    for edit in sorted(made, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start == other.start or max(one.start, other.start) < min(one.end, other.end)


def mapping(value: Any) -> Mapping[str, Any]:
    """*value* if it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}
