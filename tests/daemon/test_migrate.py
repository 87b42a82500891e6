"""Outdated flows get their present form; every other byte stays."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.migrate import migrate
from tidewaiter.tasks.legacy import LegacySpec, Node
from tidewaiter.tasks.script import ExecSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
CORPUS = Path(os.environ.get("CONFORMANCE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "flows"
FOLDERS = [EXAMPLES, *sorted(CORPUS.glob("*/"))]
"""The project's examples, and the flows of the corpus where there is one (``CONFORMANCE_CORPUS``)."""
HEAD = "id: flow\nnamespace: harbour\n"
SHELL = "io.kestra.plugin.scripts.shell.Commands"
DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"
PROCESS = "io.kestra.plugin.core.runner.Process"
FLOW = "io.kestra.plugin.core.flow."
FOR_EACH = f"{FLOW}ForEach"
DIRECTORY = "io.kestra.plugin.core.flow.WorkingDirectory"
LOCAL = "io.kestra.plugin.core.storage.LocalFiles"


def task(*lines: str) -> str:
    return f"{HEAD}tasks:\n  - id: a\n" + "".join(f"    {line}\n" for line in lines)


def shell(*lines: str) -> str:
    return task(f"type: {SHELL}", "commands: [ls]", *lines)


def directory(tasks: str, properties: str = "") -> str:
    indented = "".join(f"      {line}\n" if line else "\n" for line in tasks.splitlines())
    return f"{HEAD}tasks:\n  - id: wd\n    type: {DIRECTORY}\n{properties}    tasks:\n{indented}"


LAST = f"- {{id: last, type: {SHELL}, commands: [ls]}}"

REWRITTEN = {
    "a type, with its comment": (
        task("type: io.kestra.core.tasks.log.Log  # says hello", "message: hi"),
        task("type: io.kestra.plugin.core.log.Log  # says hello", "message: hi"),
    ),
    "a type in quotes": (
        task('type: "io.kestra.core.tasks.log.Log"', "message: 'hi'"),
        task('type: "io.kestra.plugin.core.log.Log"', "message: 'hi'"),
    ),
    "line breaks of another system": (
        task("type: io.kestra.core.tasks.log.Log", "message: hi").replace("\n", "\r\n"),
        task("type: io.kestra.plugin.core.log.Log", "message: hi").replace("\n", "\r\n"),
    ),
    "defaults of tasks": (f"taskDefaults:  # x\n  []\n{shell()}", f"pluginDefaults:  # x\n  []\n{shell()}"),
    "an input": (
        f"{shell()}inputs: [{{name: who, type: STRING}}]\n",
        f"{shell()}inputs: [{{id: who, type: STRING}}]\n",
    ),
    "a process": (shell("runner: PROCESS # fast"), shell("taskRunner:", f"  type: {PROCESS} # fast")),
    "a container": (
        shell("runner: DOCKER", "docker:", "  image: ubuntu:24.04  # pinned"),
        shell("taskRunner:", f"  type: {DOCKER}", "containerImage: ubuntu:24.04  # pinned"),
    ),
    "an image": (shell("docker: {image: 'ubuntu'}"), shell("containerImage: 'ubuntu'")),
    "a container with options": (
        shell("docker:", "  image: ubuntu", "  # never from afar", "  pullPolicy: NEVER", "  dockerHost: tcp://h"),
        shell(
            "containerImage: ubuntu",
            "taskRunner:",
            "  # never from afar",
            f"  type: {DOCKER}",
            "  pullPolicy: NEVER",
            "  host: tcp://h",
        ),
    ),
    "a container on one line": (
        f"{HEAD}tasks: [{{id: a, type: {SHELL}, runner: DOCKER, docker: {{image: i, user: u}}}}]\n",
        f"{HEAD}tasks: [{{id: a, type: {SHELL}, containerImage: i, taskRunner: {{type: {DOCKER}, user: u}}}}]\n",
    ),
    "a script task of old": (
        task(
            "type: io.kestra.core.tasks.scripts.Bash",
            "exitOnFailed: false",
            "commands: [ls]",
        ),
        task(f"type: {SHELL}", "failFast: false", "taskRunner:", f"  type: {PROCESS}", "commands: [ls]"),
    ),
    "a Python task of old": (
        task(
            "type: io.kestra.core.tasks.scripts.Python",
            "runner: DOCKER",
            "dockerOptions: {image: python}",
            "requirements: [kestra]",
            "commands: [python main.py]",
        ),
        task(
            "type: io.kestra.plugin.scripts.python.Commands",
            "taskRunner:",
            f"  type: {DOCKER}",
            "containerImage: python",
            "dependencies: [kestra]",
            "commands: [python main.py]",
        ),
    ),
    "a loop": (
        task("type: io.kestra.core.tasks.flows.EachSequential", "value: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
        task(f"type: {FOR_EACH}", "values: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
    ),
    "a loop all at once": (
        task(f"type: {FLOW}EachParallel", "value: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
        task(f"type: {FOR_EACH}", "values: [a]", "concurrencyLimit: 0", f"tasks: [{{id: b, type: {SHELL}}}]"),
    ),
    "a loop some at once": (
        task(f"type: {FLOW}EachParallel", "concurrent: 2", "value: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
        task(f"type: {FOR_EACH}", "concurrencyLimit: 2", "values: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
    ),
    "a property": (
        shell("retry: {type: constant, interval: PT1S, maxAttempt: 3}"),
        shell("retry: {type: constant, interval: PT1S, maxAttempts: 3}"),
    ),
    "files before the first task": (
        directory(
            f"- id: put\n  type: {LOCAL}\n  inputs:\n    a.txt: |\n      x\n\n      # y\n    # z\n    b: c\n\n{LAST}"
        ),
        directory(LAST, "    inputFiles:\n      a.txt: |\n        x\n\n        # y\n      # z\n      b: c\n"),
    ),
    "files before a later task": (
        directory(
            f"- {{id: first, type: {SHELL}, commands: [ls]}}\n- id: put\n  type: {LOCAL}\n  inputs: {{a: b}}\n"
            f"- id: last\n  type: {SHELL}\n  commands: [ls]"
        ),
        directory(
            f"- {{id: first, type: {SHELL}, commands: [ls]}}\n"
            f"- id: last\n  type: {SHELL}\n  inputFiles: {{a: b}}\n  commands: [ls]"
        ),
    ),
    "files after the last task, with who looks at them": (
        directory(f"{LAST}\n\n- id: out\n  type: {LOCAL}\n  outputs:\n  - '*.csv'")
        + "  - {id: say, type: log.Log, message: \"{{ outputs.out.uris['a.csv'] }}\"}\n",
        directory(LAST, "    outputFiles:\n    - '*.csv'\n")
        + "  - {id: say, type: log.Log, message: \"{{ outputs.wd.outputFiles['a.csv'] }}\"}\n",
    ),
}

LEFT = {
    "a loop of several tasks": task(
        f"type: {FLOW}EachParallel", "value: [a]", f"tasks: [{{id: b, type: {SHELL}}}, {{id: c, type: {SHELL}}}]"
    ),
    "a loop with defaults": f"pluginDefaults: [{{type: {FLOW}EachSequential, values: {{timeout: PT1S}}}}]\n"
    + task(f"type: {FLOW}EachSequential", "value: [a]", f"tasks: [{{id: b, type: {SHELL}}}]"),
    "a script task of old with defaults": "pluginDefaults: [{type: io.kestra.core., values: {timeout: PT1S}}]\n"
    + task("type: io.kestra.core.tasks.scripts.Bash", "commands: [ls]"),
    "a runner with defaults": f"pluginDefaults: [{{type: {SHELL}, values: {{docker: {{image: a}}}}}}]\n"
    + shell("docker: {image: b}"),
    "both forms": shell("runner: DOCKER", "containerImage: ubuntu"),
    "options without effect": shell("runner: PROCESS", "docker: {image: a, user: u}"),
    "an option of old": shell("docker: {image: a, pullImage: false}"),
    "a comment inside": shell("docker:", "  # the big one", "  image: ubuntu"),
    "the directory for outputs": shell("runner: PROCESS", "env: {A: $OUTPUT_DIR}"),
    "a script task without a present form": task("type: io.kestra.core.tasks.scripts.Node", "inputFiles: {main.js: x}"),
    "an option of an old script task": task(
        "type: io.kestra.core.tasks.scripts.Bash", "interpreter: /bin/bash", "commands: [ls]"
    ),
    "files that another task looks at": directory(
        f"- {{id: put, type: {LOCAL}, inputs: {{a: b}}}}\n"
        "- {id: say, type: log.Log, message: '{{ outputs.put.uris }}'}"
    ),
    "outputs looked up by brackets": directory(f"{LAST}\n- id: out\n  type: {LOCAL}\n  outputs: ['*']")
    + "  - {id: say, type: log.Log, message: \"{{ outputs['out'].uris }}\"}\n",
    "files in the middle": directory(f"- {{id: o, type: {LOCAL}, outputs: ['*']}}\n{LAST}"),
    "files outside of a directory": task(f"type: {LOCAL}", "inputs: {a: b}"),
    "the only task": directory(f"- {{id: put, type: {LOCAL}, inputs: {{a: b}}}}"),
    "a task with more to it": directory(f"- {{id: put, type: {LOCAL}, inputs: {{a: b}}, allowFailure: true}}\n{LAST}"),
    "a task with a comment": directory(f"- id: put # here\n  type: {LOCAL}\n  inputs: {{a: b}}\n{LAST}"),
}


@pytest.mark.parametrize(("before", "after"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_it_is_rewritten(before: str, after: str) -> None:
    """The outdated form becomes the present one."""
    assert migrate(before, "flow.yaml").text == after


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT.keys())
def test_it_is_left_with_a_note(text: str) -> None:
    """What cannot be rewritten without a change of meaning stays, and is told with its place."""
    migrated = migrate(text, "flow.yaml")
    assert (migrated.text, len(migrated.notes), migrated.notes[0].line > 2) == (text, 1, True)


def test_what_is_present_stays_byte_for_byte() -> None:
    """No layout is touched for its own sake."""
    text = (
        "# top\n\nid:   flow   # a\nnamespace: 'harbour'\ntasks:\n-   {type: log.Log,message: hi,   id: a }\n\n\n# end"
    )
    assert migrate(text, "flow.yaml") == (type(migrate(text, ""))(text, ()))


def test_no_yaml() -> None:
    """What cannot be read is told as for every command."""
    with pytest.raises(ConfigError, match=r"flow\.yaml:2:1"):
        migrate("id: [\n", "flow.yaml")


def leaves(value: Any) -> Iterator[Any]:
    """Every plain value in a document."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def readable(path: Path) -> bool:
    try:
        return bool(parse(path.read_bytes().decode(), "").positions)
    except ConfigError:
        return False


def loaded(text: str) -> AnyFlow | None:
    try:
        return parse_flow(text, "flow.yaml", Expressions())
    except ConfigError:
        return None


def scripts(spec: Any) -> list[tuple[Any, ...]]:
    """What each script task does, and where, however it is written."""
    inner = [found for child in spec.children() for found in scripts(child)]
    if isinstance(spec, LegacySpec) and not isinstance(spec, Node):
        image = spec.docker_options.image if spec.docker_options and spec.runner == "DOCKER" else None
        return [(spec.id, image, spec.exit_on_failed, spec.env, spec.warning_on_std_err)]
    if isinstance(spec, ExecSpec):
        return [(spec.id, spec.image, spec.fail_fast, spec.env, spec.warning_on_std_err)]
    return inner


def values(text: str) -> Counter[str]:
    return Counter(map(str, leaves(parse(text, "").data)))


def difference(path: Path) -> str | None:
    """What migrating a flow changes of it beyond its form."""
    text = path.read_bytes().decode()
    after = migrate(text, path.name).text
    old, new = loaded(text), loaded(after)
    invented, lost = values(after) - values(text), values(text) - values(after)
    if migrate(after, path.name).text != after:
        return "it changes again"
    if [value for value in invented if not re.search(r"^io\.kestra\.plugin\.|^PROCESS$|^0$|\.outputFiles\b", value)]:
        return f"there is more in it: {invented}"
    if [value for value in lost if not re.search(r"^io\.kestra\.|^[\w-]+$|\.(?:uris|outputFiles)\b", value)]:
        return f"there is less in it: {lost}"
    if old and (new is None or list(map(scripts, old.tasks)) != list(map(scripts, new.tasks))):
        return "its scripts do something else"
    return None


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_real_flows_mean_the_same(folder: Path) -> None:
    """They load if they did, their scripts do the same in the same place, and no value is lost or invented."""
    flows = [path for path in sorted(folder.glob("*.y*ml")) if readable(path)]
    assert [(path.name, found) for path in flows if (found := difference(path))] == []
