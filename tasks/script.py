"""The script tasks: commands and scripts of many languages, all done by the same machinery (kestra.md §1.10)."""

import contextlib
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.console import Console
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.dependencies import check_version, install
from tidewaiter.tasks.environment import PYTHON_LITERALS, environment
from tidewaiter.tasks.files import (
    InputFiles,
    NamespaceFiles,
    OutputFiles,
    capture,
    capture_all,
    place,
    place_namespace_files,
)
from tidewaiter.tasks.languages import LANGUAGES, Language, fail_fast
from tidewaiter.tasks.process import process_runner
from tidewaiter.tasks.runner import Command, Exit
from tidewaiter.tasks.taskrunner import Docker, DockerOptions, Process, TaskRunner

_URI = re.compile(r"kestra:///[-a-zA-Z0-9%._+~#=/]*")


def _names(kind: str, *special: str) -> tuple[str, ...]:
    """The type names of all languages but the *special* ones, which have specs of their own."""
    return tuple(f"io.kestra.plugin.scripts.{name}.{kind}" for name in LANGUAGES if name not in special)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return {name: text and change(text) for name, text in value.items()} if value else value


class ExecSpec(TaskSpec):
    """The properties that all script tasks have. *TEXTS* are those whose content a program gets to see."""

    TEXTS: ClassVar[tuple[str, ...]] = ("before_commands", "env")

    before_commands: Dynamic[tuple[Text, ...]] = ()
    """Commands that run before, in the same shell."""
    interpreter: Dynamic[tuple[Text, ...] | None] = None
    """The program and arguments that are given the commands; that of the language without it."""
    fail_fast: Dynamic[bool] = True
    """Stop at the first command that fails."""
    env: Dynamic[dict[str, Text | None] | None] = None
    """Environment variables; the way to pass what comes from outside."""
    task_runner: TaskRunner | None = None
    """Where it runs: in a container, unless it says otherwise."""
    container_image: Dynamic[Text | None] = None
    """The image of the container; that of the language without it."""
    runner: Literal["PROCESS", "DOCKER"] | None = None
    """Kestra's way before 0.16 to say where it runs; it wins over *taskRunner*."""
    docker: DockerOptions | None = None
    """Kestra's way before 0.16 to set up the container."""
    warning_on_std_err: Dynamic[bool] = True
    """End with a warning if anything is written to stderr."""
    input_files: InputFiles = None
    """Path in the working directory → URI of a file, or the content itself; or text that is such a map in JSON."""
    output_files: OutputFiles = ()
    """Globs for the files to keep; they are found in ``outputs.id.outputFiles`` by their paths."""
    namespace_files: NamespaceFiles | None = None
    """Files of the flow's namespace to have in the working directory."""
    output_directory: Dynamic[bool] = False
    """Keep all files that are written to ``{{ outputDir }}``."""
    target_os: Annotated[Dynamic[Literal["LINUX", "WINDOWS", "AUTO"]], Field(alias="targetOS")] = "AUTO"
    """Has no effect: programs run on this machine's system."""

    @property
    def language(self) -> Language:
        """The language named by the type."""
        return LANGUAGES[self.type.split(".")[-2]]

    def texts(self) -> Iterator[str]:
        """The texts that the interpreter and its program are given."""
        found: list[str] = []

        def note(text: str) -> str:
            found.append(text)
            return text

        self.rewritten(note)
        return iter(found)

    def rewritten(self, change: Callable[[str], str]) -> Self:
        """This task with *change* made to each of its texts."""
        return self.model_copy(update={name: _each(getattr(self, name), change) for name in self.TEXTS})

    @property
    def image(self) -> str | None:
        """
        The container image the task is to run in; None if it is to run as a process.

        The old ``runner`` decides before ``taskRunner``, whose default is a container (kestra.md §1.10, "Selection").
        """
        if self.runner == "PROCESS" or (self.runner is None and isinstance(self.task_runner, Process)):
            return None
        in_runner = self.task_runner.image if isinstance(self.task_runner, Docker) else None
        in_docker = self.docker.image if self.docker else None
        return in_docker or in_runner or self.container_image or self.language.image


class Commands(ExecSpec):
    """Run commands of a shell, one after another in the same shell."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Commands", "python")
    TEXTS: ClassVar[tuple[str, ...]] = (*ExecSpec.TEXTS, "commands")

    commands: Dynamic[Annotated[tuple[Text, ...], Field(min_length=1)]]
    """The commands, one after another in the same shell."""


class Script(ExecSpec):
    """Run a script written in the flow."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Script", "python", "jbang")
    TEXTS: ClassVar[tuple[str, ...]] = (*ExecSpec.TEXTS, "script")

    script: Dynamic[Text]
    """The text of the script."""

    @property
    def file_extension(self) -> str:
        """The extension that the script's file must have."""
        return self.language.extension

    @property
    def options(self) -> tuple[str, ...]:
        """What the program that runs the script is told besides the file."""
        return ()


class JbangScript(Script):
    """Run a JBang script written in the flow."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.jbang.Script",)

    extension: Dynamic[Annotated[Text, Field(pattern=r"^\.[A-Za-z]+$")]] = ".java"
    """The extension of the script's file, which tells its language."""
    quiet: Dynamic[bool] = True
    """Keep JBang from talking about its own doings on stderr."""

    @property
    def file_extension(self) -> str:
        """JBang tells the language by the extension."""
        return self.extension

    @property
    def options(self) -> tuple[str, ...]:
        """JBang talks about its own doings on stderr, unless it is told not to."""
        return ("--quiet",) if self.quiet else ()


class PythonSpec(ExecSpec):
    """
    The properties of Python tasks beyond those of other languages.

    Packages are always installed with pip, into a home of the run's own; ``uv`` is not needed and not used.
    """

    dependencies: Dynamic[tuple[Text, ...]] = ()
    """Packages to install before, as pip names them."""
    python_version: Dynamic[Text | None] = None
    """The version of Python that must be there."""
    package_manager: Dynamic[Literal["PIP", "UV"] | None] = None
    """Has no effect: packages are installed with pip."""
    dependency_cache_enabled: Dynamic[bool] = True
    """Keep installed packages for the next run that needs the same."""
    uv_auto_install_enabled: Dynamic[bool] = True
    """Has no effect: uv is not used."""
    uv_installer_version: Dynamic[Text | None] = None
    """Has no effect: uv is not used."""
    uv_installer_sha256: Dynamic[Text | None] = None
    """Has no effect: uv is not used."""


class PythonCommands(PythonSpec, Commands):
    """Run commands of a shell with Python packages at hand."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.python.Commands",)


class PythonScript(PythonSpec, Script):
    """Run a Python script written in the flow; ``true``, ``false`` and ``null`` are known in it."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.python.Script",)


def output_dir(workdir: Path) -> Path:
    """The directory that ``{{ outputDir }}`` and ``OUTPUT_DIR`` name for a task that runs in *workdir*."""
    return workdir / ".outputs"


async def run(spec: ExecSpec, context: TaskContext) -> Result:
    """
    Do a script task on this machine.

    Raises:
        TaskError: a container is asked for and not allowed to be left out, an input cannot be placed, a Python
            dependency cannot be installed, the interpreter cannot be started, or an output cannot be kept.
    """
    _settle_where(spec, context)
    await place_namespace_files(spec.namespace_files, context)
    await place(spec.input_files, context)
    spec = await _with_local_files(spec, context)
    console = Console(context.log)
    with _output_directory(spec, context) as directory:
        exit_ = await _execute(spec, context, console, directory)
        files = await capture_all(directory, context) if directory else {}
    files |= await capture(spec.output_files, context)
    return _result(spec, console, exit_, files)


def _settle_where(spec: ExecSpec, context: TaskContext) -> None:
    image = spec.image
    if image is None:
        return
    if context.runners.docker == "refuse":
        raise TaskError(
            f"the task asks for the container image '{image}', but no container engine is configured",
            "to run such tasks on this machine, set runners.docker: process (TIDEWAITER_RUNNERS__DOCKER=process), "
            "or write 'taskRunner: {type: io.kestra.plugin.core.runner.Process}' in the task",
        )
    context.log("INFO", f"the container image '{image}' is not used: the task runs on this machine (runners.docker)")


async def _with_local_files(spec: ExecSpec, context: TaskContext) -> ExecSpec:
    """Fetch the internal-storage files that the task's texts name, and name the copies instead (kestra.md §1.8)."""
    named = sorted({uri for text in spec.texts() for uri in _URI.findall(text) if context.files.owns(uri)})
    local: dict[str, str] = {}
    for number, uri in enumerate(named):
        copy = context.scratch / "files" / str(number) / (PurePosixPath(uri).name or "file")
        copy.parent.mkdir(parents=True)
        await context.files.fetch(uri, copy)
        local[uri] = str(copy)
    return spec.rewritten(lambda text: _URI.sub(lambda uri: local.get(uri[0], uri[0]), text)) if local else spec


@contextlib.contextmanager
def _output_directory(spec: ExecSpec, context: TaskContext) -> Iterator[Path | None]:
    """
    Give a fresh directory for outputs if the task is to have one, and remove it afterwards.

    It has one when it says so, when it uses the old ``runner``, or when its texts name the path (kestra.md §1.8).
    """
    directory = output_dir(context.workdir)
    if not (spec.output_directory or spec.runner or any(str(directory) in text for text in spec.texts())):
        yield None
        return
    _remove(directory)
    directory.mkdir()
    try:
        yield directory
    finally:
        _remove(directory)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


async def _execute(spec: ExecSpec, context: TaskContext, console: Console, directory: Path | None) -> Exit:
    runner = process_runner(context)
    env = environment(context, _declared(spec, directory))
    if isinstance(spec, PythonSpec):
        await check_version(spec.python_version, runner, context, env)
        await install(spec.dependencies, runner, context, env, cached=spec.dependency_cache_enabled)
    with _body(spec, context.workdir) as body:
        return await runner.run(Command(_argv(spec, body), context.workdir, env), console)


def _declared(spec: ExecSpec, directory: Path | None) -> dict[str, str]:
    declared = {name: value for name, value in (spec.env or {}).items() if value is not None}
    if directory is not None:
        declared["OUTPUT_DIR"] = str(directory)
    if isinstance(spec, PythonScript):
        declared[PYTHON_LITERALS] = "1"
    return declared


@contextlib.contextmanager
def _body(spec: ExecSpec, workdir: Path) -> Iterator[str]:
    """Give what the interpreter is to do in the end; a script file lies in the working directory only while it runs."""
    if isinstance(spec, Commands):
        yield "\n".join(spec.commands)
    elif isinstance(spec, Script) and spec.language.program is None:
        yield spec.script
    elif isinstance(spec, Script):
        path = workdir / f"script{uuid.uuid4().hex[:8]}{spec.file_extension}"
        path.write_text(spec.script, encoding="utf-8", errors="surrogatepass")
        try:
            yield spec.language.invocation(path, spec.options)
        finally:
            path.unlink(missing_ok=True)


def _argv(spec: ExecSpec, body: str) -> tuple[str, ...]:
    interpreter = spec.interpreter or spec.language.interpreter
    first = fail_fast(interpreter) if spec.fail_fast else ""
    return (*interpreter, "\n".join(filter(None, (first, *spec.before_commands, body))))


def _result(spec: ExecSpec, console: Console, exit_: Exit, files: dict[str, str]) -> Result:
    noise = console.lines["stderr"]
    outputs = {
        "vars": console.outputs,
        "exitCode": exit_.code,
        "outputFiles": files,
        "stdOutLineCount": console.lines["stdout"],
        "stdErrLineCount": noise,
    }
    if exit_.code:
        return Result("FAILED", outputs, exit_.reason + (f": {console.last_error}" if console.last_error else ""))
    if noise and spec.warning_on_std_err:
        return Result("WARNING", outputs, "the program wrote to stderr (warningOnStdErr: false accepts that)")
    return Result("SUCCESS", outputs)
