"""``LocalFiles`` tasks become ``inputFiles`` and ``outputFiles`` where nothing changes by it (kestra.md §1.6-1.8)."""

import re
from collections.abc import Iterator
from typing import Any

from tidewaiter.config.document import Entry, Node
from tidewaiter.config.parts import Part
from tidewaiter.daemon.migrate.source import (
    Change,
    Edit,
    Found,
    Left,
    Source,
    item_removed,
    property_before,
    scalars,
)
from tidewaiter.tasks.files import LocalFiles
from tidewaiter.tasks.tree import WorkingDirectory

_NAME = re.compile(r"[A-Za-z_]\w*")
_FIRST = frozenset({"id", "type", "description"})
_SKIPPED = frozenset({"runIf", "disabled", "retry"})


def local_files(source: Source) -> Iterator[Found]:
    """Fold each ``LocalFiles`` into the working directory around it, or into the task after it."""
    for part in source.parts:
        owner = part.owner
        if part.spec is None or not issubclass(part.spec, LocalFiles) or owner is None:
            continue
        task, around = source.node(part), source.node(owner)
        if task is None or around is None or part.data.get("disabled"):
            continue
        yield _Fold(source, part, owner, task, around).found()


class _Fold:
    """One ``LocalFiles`` task in its surroundings."""

    def __init__(self, source: Source, part: Part, owner: Part, task: Node, around: Node) -> None:
        self._source = source
        self._task = task
        self._around = around
        self._in_directory = owner.spec is not None and issubclass(owner.spec, WorkingDirectory)
        self._siblings: list[Any] = list(owner.data.get("tasks") or ()) if self._in_directory else []
        self._index = int(part.path[-1])
        self._id = str(part.data.get("id"))
        self._owner_id = str(owner.data.get("id"))

    def found(self) -> Found:
        """Give the change that folds it, or why it is left."""
        reason = self._obstacle()
        change = None if reason else self._inputs() if "inputs" in self._task.entries else self._outputs()
        if isinstance(change, Change):
            return change
        return Left(
            self._task.start, f"LocalFiles '{self._id}' is left: {reason or change or 'a comment is in the way'}"
        )

    def _obstacle(self) -> str | None:
        kinds = self._task.entries.keys() & {"inputs", "outputs"}
        extra = sorted(self._task.entries.keys() - {"id", "type", "inputs", "outputs"})
        if not self._in_directory:
            return "it is not in a WorkingDirectory"
        if len(kinds) != 1:
            return "it has both inputs and outputs" if kinds else "it does nothing"
        if extra:
            return f"its '{extra[0]}' would be lost"
        if self._around.entries["tasks"].value.style != "block" or len(self._siblings) < 2:
            return "the directory has no other task, or is not written in lines"
        return None

    def _inputs(self) -> Change | str | None:
        entry = self._task.entries["inputs"]
        if _mentions(self._source.text, self._id):
            return "other tasks look at its outputs"
        if self._index == 0 and "inputFiles" not in self._around.entries:
            return self._moved(entry, "inputFiles", self._around, self._around.entries["tasks"])
        if self._index + 1 == len(self._siblings):
            return "no task comes after it"
        follower = self._around.entries["tasks"].value.items[self._index + 1]
        if not self._takes_files(follower) or {"inputFiles", *_SKIPPED} & follower.entries.keys():
            return "the task after it cannot take its files"
        first = next((entry for name, entry in follower.entries.items() if name not in _FIRST), None)
        return (
            self._moved(entry, "inputFiles", follower, first) if first else "the task after it is not written in lines"
        )

    def _takes_files(self, follower: Node) -> bool:
        found = next((part for part in self._source.parts if self._source.node(part) is follower), None)
        return found is not None and found.spec is not None and "input_files" in found.spec.model_fields

    def _outputs(self) -> Change | str | None:
        if self._index + 1 != len(self._siblings):
            return "it takes files before the last task has ended"
        if "outputFiles" in self._around.entries:
            return "the directory has outputFiles already"
        change = self._moved(self._task.entries["outputs"], "outputFiles", self._around, self._around.entries["tasks"])
        references = self._references()
        if references is None:
            return "its outputs are looked up in a way that cannot be rewritten for sure"
        return Change((*change.edits, *references)) if change else None

    def _moved(self, entry: Entry, name: str, target: Node, before: Entry) -> Change | None:
        source = self._source
        if source.has_comment(entry.key.end, entry.value.start):
            return None
        removal = item_removed(source, self._around.entries["tasks"].value, self._index, _outside(entry, self._task))
        value = source.below(entry, source.column(before.key.start))
        return Change((property_before(source, target, before, name, value), removal)) if removal else None

    def _references(self) -> list[Edit] | None:
        """Rewrite what looks at the outputs; None if some of it is not in the plain form."""
        text = self._source.text
        found = list(re.finditer(rf"\boutputs\.{re.escape(self._id)}\.(?:uris|outputFiles)\b", text))
        plain = _NAME.fullmatch(self._owner_id) is not None
        if len(found) != _mentions(text, self._id) or (found and not plain):
            return None
        return [Edit(match.start(), match.end(), f"outputs.{self._owner_id}.outputFiles") for match in found]


def _outside(entry: Entry, task: Node) -> list[Node]:
    """What in *task* may have a ``#`` that is no comment, or one that goes along with the value of *entry*."""
    others = [scalar for other in task.entries.values() if other is not entry for scalar in scalars(other.value)]
    return [entry.value, *others]


def _mentions(text: str, identifier: str) -> int:
    name = re.escape(identifier)
    return len(re.findall(rf"\boutputs\s*(?:\.\s*{name}\b|\[\s*\\?['\"]{name}\\?['\"]\s*\])", text))
