"""``runner``, ``docker`` and ``dockerOptions`` become ``taskRunner`` and ``containerImage`` (kestra.md §1.10)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tidewaiter.config.document import Node
from tidewaiter.daemon.migrate.source import (
    Change,
    Edit,
    Found,
    Left,
    Source,
    mapping,
    property_before,
    removed,
    rewritten,
)
from tidewaiter.tasks.script import ExecSpec

_TYPES: Mapping[str | None, str] = MappingProxyType(
    {
        "PROCESS": "io.kestra.plugin.core.runner.Process",
        "DOCKER": "io.kestra.plugin.scripts.runner.docker.Docker",
        None: "io.kestra.plugin.scripts.runner.docker.Docker",
    }
)
_WHERE = frozenset({"runner", "docker", "taskRunner", "containerImage"})
_RENAMED: Mapping[str, str] = MappingProxyType({"dockerHost": "host", "dockerConfig": "config"})


def runners(source: Source) -> Iterator[Found]:
    """Rewrite the task runner of each script task."""
    for part in source.parts:
        node = source.node(part)
        if node is None or part.spec is None or not issubclass(part.spec, ExecSpec):
            continue
        if _WHERE & source.defaults(part) and {"runner", "docker"} & node.entries.keys():
            yield Left(node.start, "the flow's defaults say where this task runs, too: change both by hand")
        elif {"runner", "docker"} & node.entries.keys():
            yield _of_task(source, node, part.data)


def _of_task(source: Source, task: Node, data: Mapping[str, object]) -> Found:
    if reason := _obstacle(source, task, data):
        return Left(task.start, reason)
    edits = _edits(source, task, data)
    return Left(task.start, "a comment is in the way of 'docker'") if edits is None else Change(edits)


def _obstacle(source: Source, task: Node, data: Mapping[str, object]) -> str | None:
    docker = task.entries["docker"].value if "docker" in task.entries else None
    options = set(docker.entries) - {"image"} if docker else set()
    makes_directory = "runner" in task.entries and "outputDirectory" not in data
    obstacles = {
        "there is a taskRunner or containerImage already: leave out what is not meant": (
            {"taskRunner", "containerImage"} & task.entries.keys()
        ),
        f"runner '{data.get('runner')}' is not known": data.get("runner") not in _TYPES,
        "'runner' makes the directory OUTPUT_DIR: name the files in 'outputFiles' first": (
            makes_directory and "OUTPUT_DIR" in source.raw(task)
        ),
        "'docker' is no plain map": docker is not None and not docker.entries,
        "'docker' has no effect beside 'runner: PROCESS': leave one of them out": (
            options and data.get("runner") == "PROCESS"
        ),
        "'pullImage' has no present form: use 'pullPolicy'": "pullImage" in options,
    }
    return next((reason for reason, applies in obstacles.items() if applies), None)


def _edits(source: Source, task: Node, data: Mapping[str, object]) -> tuple[Edit, ...] | None:
    options = set(mapping(data.get("docker"))) - {"image"}
    edits = _with_options(source, task) if options else _image_only(source, task, data)
    return None if any(edit is None for edit in edits) else tuple(edit for edit in edits if edit is not None)


def _image_only(source: Source, task: Node, data: Mapping[str, object]) -> list[Edit | None]:
    edits: list[Edit | None] = []
    if entry := task.entries.get("runner"):
        edits.append(Edit(entry.key.start, entry.value.end, _task_runner(source, task, str(data["runner"]))))
    if entry := task.entries.get("docker"):
        image = entry.value.entries["image"].value
        lost = source.has_comment(entry.key.end, image.start) or source.has_comment(image.end, entry.value.end)
        edits.append(None if lost else Edit(entry.key.start, entry.value.end, f"containerImage: {source.raw(image)}"))
    return edits


def _task_runner(source: Source, task: Node, runner: str) -> str:
    if task.style == "flow":
        return f"taskRunner: {{type: {_TYPES[runner]}}}"
    indent = " " * (source.column(task.entries["runner"].key.start) + 2)
    return f"taskRunner:{source.newline}{indent}type: {_TYPES[runner]}"


def _with_options(source: Source, task: Node) -> list[Edit | None]:
    """Turn the map of ``docker`` into that of ``taskRunner``, and take the image out of it."""
    entry, old = task.entries["docker"], task.entries.get("runner")
    image = entry.value.entries.get("image")
    edits: list[Edit | None] = [rewritten(entry.key, "taskRunner"), *_options(source, entry.value)]
    if image is None:
        return [*edits, removed(source, task, "runner")] if old else edits
    written = f" {source.raw(image.value)}"
    edits.append(removed(source, entry.value, "image"))
    if old:
        edits.append(Edit(old.key.start, old.value.end, f"containerImage:{written}"))
    else:
        edits.append(property_before(source, task, entry, "containerImage", written))
    return edits


def _options(source: Source, docker: Node) -> Iterator[Edit]:
    """Put the type in front of the first option, and give the options their present names."""
    entries = [(name, entry) for name, entry in docker.entries.items() if name != "image"]
    for number, (name, entry) in enumerate(entries):
        text = _RENAMED.get(name, source.raw(entry.key))
        if number == 0:
            text = property_before(source, docker, entry, "type", f" {_TYPES['DOCKER']}").text + text
        yield Edit(entry.key.start, entry.key.end, text)
