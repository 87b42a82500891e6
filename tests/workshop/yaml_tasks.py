"""Tasks as lines of YAML, for flows that are put together in a test."""

import json
from typing import Any


def task(kind: str, identifier: str, **properties: Any) -> dict[str, Any]:
    """A task of that type; a trailing underscore of a property's name is left out (``else_``)."""
    return {"id": identifier, "type": kind, **{name.removesuffix("_"): value for name, value in properties.items()}}


def say(identifier: str, text: str = "x", **properties: Any) -> dict[str, Any]:
    """A task that gives *text* as its output ``value``."""
    return task("debug.Return", identifier, format=text, **properties)


def shell(identifier: str, *commands: str, **properties: Any) -> dict[str, Any]:
    """A shell task."""
    return task(
        "shell.Commands",
        identifier,
        taskRunner={"type": "io.kestra.plugin.core.runner.Process"},
        commands=commands,
        **properties,
    )


def broken(identifier: str, **properties: Any) -> dict[str, Any]:
    """A task that fails."""
    return shell(identifier, "exit 1", **properties)


def body(*tasks: dict[str, Any], **properties: Any) -> str:
    """A flow, but for its id and namespace."""
    given = {"tasks": tasks, **{name.removesuffix("_"): value for name, value in properties.items()}}
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in given.items())
