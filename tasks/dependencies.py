"""The Python packages and the Python version that a script task asks for."""

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.runner import Command, Exit, Runner, Stream

_KEPT = 5


async def install(
    dependencies: tuple[str, ...], runner: Runner, context: TaskContext, env: dict[str, str], *, cached: bool = True
) -> None:
    """
    Install *dependencies* with pip for the Python of *env* into the run's private home, before its program starts.

    What that Python has already is not installed again. Downloads are kept for later runs unless *cached* is false.

    Raises:
        TaskError: pip failed; the message ends with its last words.
    """
    if not dependencies:
        return
    argv = ("python", "-m", "pip", "install", *(() if cached else ("--no-cache-dir",)), "--", *dependencies)
    last: list[str] = []

    def on_line(stream: Stream, line: str) -> None:
        context.log("DEBUG" if stream == "stdout" else "WARN", line)
        if line.strip():
            last.append(line.strip())
            del last[:-_KEPT]

    exit_ = await runner.run(Command(argv, context.workdir, env), on_line)
    if exit_.code:
        raise TaskError(
            f"the dependencies {', '.join(dependencies)} cannot be installed: {' / '.join(last)}",
            "check the names, and that pip can reach a package index (runners.environment: PIP_INDEX_URL)",
        )


async def check_version(wanted: str | None, runner: Runner, context: TaskContext, env: dict[str, str]) -> None:
    """
    See to it that the Python of *env* is the *wanted* one, for example ``3.11``; None accepts any.

    Raises:
        TaskError: it is another one, or there is none.
    """
    if wanted is None:
        return
    version, exit_ = await _version(runner, context, env)
    if exit_.code or not f"{version}.".startswith(f"{wanted}."):
        raise TaskError(
            f"the task asks for Python {wanted}, this machine runs Python {version}",
            f"put a Python {wanted} first in PATH (runners.environment), or change pythonVersion",
        )


async def _version(runner: Runner, context: TaskContext, env: dict[str, str]) -> tuple[str, Exit]:
    lines: list[str] = []
    argv = ("python", "-c", "import platform; print(platform.python_version())")
    exit_ = await runner.run(Command(argv, context.workdir, env), lambda _, line: lines.append(line))
    return (lines or ["unknown"])[-1], exit_
