"""Steps that only rename: types, properties, loops."""

from collections.abc import Iterator

from tidewaiter.config.document import Node
from tidewaiter.daemon.migrate.source import Change, Edit, Found, Left, Source, property_before, rewritten
from tidewaiter.tasks.tree import EachParallel, EachSequential, ForEach

_LOOP = frozenset({"type", "value", "tasks"})
_FOR_EACH = ForEach.NAMES[0]


def type_names(source: Source) -> Iterator[Found]:
    """Old names of types become the present ones."""
    for part in source.parts:
        node = source.root.at((*part.path, "type"))
        if part.renamed and node is not None and node.style != "alias":
            yield Change((rewritten(node, part.renamed),))


def property_names(source: Source) -> Iterator[Found]:
    """Old names of properties become the present ones: ``taskDefaults``, the ``name`` of an input."""
    for part in source.parts:
        node = source.node(part)
        for old, current in part.old_names():
            if node is not None and old in node.entries:
                yield Change((rewritten(node.entries[old].key, current),))


def loops(source: Source) -> Iterator[Found]:
    """
    ``EachSequential`` becomes ``ForEach``, and so does ``EachParallel`` with one task: the tasks of one value run at
    once in it too, which those of ``ForEach`` do not.
    """
    for part in source.parts:
        node = source.node(part)
        if part.spec not in {EachSequential, EachParallel} or node is None or not node.entries.keys() >= _LOOP:
            continue
        if source.defaults(part):
            yield Left(node.start, f"the defaults of {part.spec.__name__} would no longer be for it")
        elif part.spec is EachSequential:
            yield Change(_renamed_loop(node))
        elif len(node.entries["tasks"].value.items) == 1:
            yield Change((*_renamed_loop(node), _limit(source, node)))
        else:
            yield Left(node.start, "EachParallel with several tasks: put them into one Sequential, then use ForEach")


def _renamed_loop(node: Node) -> tuple[Edit, ...]:
    return rewritten(node.entries["type"].value, _FOR_EACH), rewritten(node.entries["value"].key, "values")


def _limit(source: Source, node: Node) -> Edit:
    if "concurrent" in node.entries:
        return rewritten(node.entries["concurrent"].key, "concurrencyLimit")
    return property_before(source, node, node.entries["tasks"], "concurrencyLimit", " 0")
