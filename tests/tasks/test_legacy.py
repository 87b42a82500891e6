"""The script tasks of the oldest flows."""

from typing import Any

import pytest

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.context import RunnerSettings
from tidewaiter.tasks.legacy import Bash, LegacySpec, Node, Python, run_bash, run_node, run_python


def read(cls: type[LegacySpec], **properties: Any) -> Any:
    return cls.model_validate({"id": "t", "type": cls.NAMES[0], **properties}, by_name=False)


async def test_bash(make_context, log):
    """Commands run as a process, also where containers are refused, with input files and variables."""
    spec = read(Bash, commands=["cat a", "echo $B"], inputFiles={"a": "1\n"}, env={"B": 2})
    result = await run_bash(spec, make_context(runners=RunnerSettings(docker="refuse")))

    assert (result.state, log.at("INFO")) == ("SUCCESS", ["1", "2"])


async def test_bash_interpreter(context):
    """The interpreter is a program with arguments, and failing fast can be turned off."""
    spec = read(Bash, commands=["false", "set -o pipefail"], interpreter="/bin/bash", exitOnFailed=False)

    assert (await run_bash(spec, context)).state == "SUCCESS"


async def test_container(make_context):
    """A container is asked for as today."""
    spec = read(Bash, commands=["true"], runner="DOCKER", dockerOptions={"image": "php"})
    with pytest.raises(TaskError, match="'php'"):
        await run_bash(spec, make_context(runners=RunnerSettings(docker="refuse")))


@pytest.mark.parametrize(
    ("cls", "run", "name", "text"),
    [
        (Python, run_python, "main.py", "import sys, other; print(other.x, sys.argv[1:])"),
        (Node, run_node, "main.js", "console.log(require('./other').x, process.argv.slice(2))"),
    ],
)
async def test_main_file(context, log, cls, run, name, text):
    """The main file of the input files is run with arguments and can use the others."""
    inputs = {name: text, "other.py": "x = 1", "other.js": "exports.x = 1"}
    result = await run(read(cls, inputFiles=inputs, args=["a b"]), context)

    assert (result.state, log.at("INFO")) == ("SUCCESS", ["1 ['a b']" if cls is Python else "1 [ 'a b' ]"])


async def test_missing_main_file(context):
    """Without a main file there is nothing to run."""
    with pytest.raises(TaskError, match=r"main\.py"):
        await run_python(read(Python, inputFiles={"x.py": ""}), context)
