"""The script tasks of the oldest flows, done as what they became (kestra.md §1.10, "Legacy")."""

import shlex
from typing import Any, ClassVar, Literal

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.files import InputFiles
from tidewaiter.tasks.script import Commands, PythonCommands, run
from tidewaiter.tasks.taskrunner import DockerOptions


class LegacySpec(TaskSpec):
    """The properties that the oldest script tasks have in common. They run as processes unless they say otherwise."""

    runner: Literal["PROCESS", "DOCKER"] = "PROCESS"
    """Run as a process or in a container."""
    docker_options: DockerOptions | None = None
    """How the container is set up."""
    interpreter: Dynamic[Text] = "/bin/sh"
    """The program that is given the commands."""
    interpreter_args: Dynamic[tuple[Text, ...]] = ("-c",)
    """Its arguments before them."""
    exit_on_failed: Dynamic[bool] = True
    """Stop at the first command that fails."""
    warning_on_std_err: Dynamic[bool] = True
    """End with a warning if anything is written to stderr."""
    env: Dynamic[dict[str, Text | None] | None] = None
    """Environment variables."""
    input_files: InputFiles = None
    """Path in the working directory → URI of a file, or the content itself."""

    def shared(self) -> dict[str, Any]:
        """These properties under the names they have today."""
        return {
            "id": self.id,
            "runner": self.runner,
            "docker": self.docker_options,
            "env": self.env,
            "interpreter": (self.interpreter, *self.interpreter_args),
            "fail_fast": self.exit_on_failed,
            "warning_on_std_err": self.warning_on_std_err,
            "input_files": self.input_files,
        }


class Bash(LegacySpec):
    """Run commands of a shell; now `shell.Commands`."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.core.tasks.scripts.Bash",)

    commands: Dynamic[tuple[Text, ...]]
    """The commands, one after another in the same shell."""


class Python(LegacySpec):
    """Run ``main.py`` from *inputFiles*; now `python.Commands`."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.core.tasks.scripts.Python",)

    commands: Dynamic[tuple[Text, ...]] = ()
    """The commands; without any, ``main.py`` is run."""
    args: Dynamic[tuple[Text, ...]] = ()
    """Arguments of ``main.py``."""
    requirements: Dynamic[tuple[Text, ...]] = ()
    """Packages to install before."""
    python_path: Dynamic[Text] = "python"
    """The Python to run ``main.py`` with."""
    virtual_env: Dynamic[bool] = True
    """Has no effect: packages always go into a place of their own."""


class Node(LegacySpec):
    """Run ``main.js`` from *inputFiles*, after installing what its ``package.json`` asks for; now `node.Commands`."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.core.tasks.scripts.Node",)

    args: Dynamic[tuple[Text, ...]] = ()
    """Arguments of ``main.js``."""
    node_path: Dynamic[Text] = "node"
    """The Node.js to run it with."""
    npm_path: Dynamic[Text] = "npm"
    """The npm to install packages with."""


async def run_bash(spec: Bash, context: TaskContext) -> Result:
    """Do a `Bash` task."""
    return await run(Commands(type="shell.Commands", commands=spec.commands, **spec.shared()), context)


async def run_python(spec: Python, context: TaskContext) -> Result:
    """
    Do a `Python` task.

    Raises:
        TaskError: there is no ``main.py``, or the task cannot be done (see `tidewaiter.tasks.script.run`).
    """
    commands = spec.commands or (_main(spec, "main.py", spec.python_path, spec.args),)
    given = {"type": "python.Commands", "commands": commands, "dependencies": spec.requirements, **spec.shared()}
    return await run(PythonCommands.model_validate(given, by_name=True), context)


async def run_node(spec: Node, context: TaskContext) -> Result:
    """
    Do a `Node` task.

    Raises:
        TaskError: there is no ``main.js``, or the task cannot be done (see `tidewaiter.tasks.script.run`).
    """
    main = _main(spec, "main.js", spec.node_path, spec.args)
    install = (f"{shlex.quote(spec.npm_path)} install --silent",) if "package.json" in (spec.input_files or {}) else ()
    return await run(Commands(type="node.Commands", commands=(*install, main), **spec.shared()), context)


def _main(spec: LegacySpec, name: str, program: str, args: tuple[str, ...]) -> str:
    if name not in (spec.input_files or {}):
        raise TaskError(f"inputFiles has no {name}, which is what the task runs", f"add {name} to inputFiles")
    return shlex.join((program, name, *args))
