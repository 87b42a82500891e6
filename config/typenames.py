"""Names of Kestra's types: present ones, old ones, and in short."""

import re
from collections.abc import Sequence

KESTRA_PREFIX = "io.kestra.plugin."
_RENAMED = re.compile(
    r"\.fs\.http\.|\.core\.flow\.(?:Worker|Flow|WaitFor)$|TaskRunner$|\.Purge(?:Execution)?$"
    r"|\.(?!FlowCondition|FlowNamespaceCondition|MultipleCondition)\w+Condition$"
)


def short_name(name: str) -> str:
    """Shorten a full Kestra type name: ``io.kestra.plugin.core.log.Log`` is ``log.Log``."""
    rest = name.removeprefix(KESTRA_PREFIX)
    return rest.removeprefix("core.").removeprefix("scripts.")


def is_current(name: str) -> bool:
    """Tell whether a full type name is one that Kestra still uses."""
    return name.startswith(KESTRA_PREFIX) and not _RENAMED.search(name)


def current_name(names: Sequence[str], written: str) -> str:
    """
    Give the present full name for *written*, one of *names* or short for one.

    *names* are ordered as in `TypedSpec.NAMES`: an old name stands for the present one before it.
    """
    at = next(index for index, name in enumerate(names) if written in {name, short_name(name)})
    return next((name for name in reversed(names[: at + 1]) if is_current(name)), names[0])
