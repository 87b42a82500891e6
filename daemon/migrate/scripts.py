"""The script tasks of the oldest flows become what they are today (kestra.md §1.10, "Legacy")."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tidewaiter.config.document import Node
from tidewaiter.config.flow import TaskSpec
from tidewaiter.daemon.migrate.source import Change, Edit, Found, Left, Source, property_before, rewritten
from tidewaiter.tasks.legacy import Bash, LegacySpec, Python

_SAME = frozenset({"commands", "runner", "env", "inputFiles", "warningOnStdErr"})
_RENAMED: Mapping[str, str] = MappingProxyType(
    {"exitOnFailed": "failFast", "dockerOptions": "docker", "requirements": "dependencies"}
)
_TYPES: Mapping[type[LegacySpec], str] = MappingProxyType(
    {Bash: "io.kestra.plugin.scripts.shell.Commands", Python: "io.kestra.plugin.scripts.python.Commands"}
)


def scripts(source: Source) -> Iterator[Found]:
    """Rewrite each legacy script task that has a present form; its runner is left to the step after this one."""
    for part in source.parts:
        node = source.node(part)
        if part.spec is not None and issubclass(part.spec, LegacySpec) and node is not None:
            if source.defaults(part):
                yield Left(node.start, "this script task is left as it is: the defaults for it would be lost")
            else:
                yield _of_task(source, node, part.spec)


def _of_task(source: Source, task: Node, spec: type[LegacySpec]) -> Found:
    everywhere = {field.alias or name for name, field in TaskSpec.model_fields.items()}
    odd = sorted(task.entries.keys() - everywhere - _SAME - _RENAMED.keys())
    commands = task.entries.get("commands")
    if odd or spec not in _TYPES or commands is None:
        reason = f"'{odd[0]}' has no present form" if odd else "write its commands out first"
        return Left(task.start, f"this script task is left as it is: {reason}")
    edits = [rewritten(task.entries["type"].value, _TYPES[spec])]
    edits += [rewritten(task.entries[old].key, new) for old, new in _RENAMED.items() if old in task.entries]
    return Change((*edits, *_as_process(source, task)))


def _as_process(source: Source, task: Node) -> tuple[Edit, ...]:
    """These tasks run as processes unless they say otherwise; those of today run in containers."""
    if "runner" in task.entries:
        return ()
    return (property_before(source, task, task.entries["commands"], "runner", " PROCESS"),)
