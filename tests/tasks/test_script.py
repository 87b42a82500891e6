"""Script tasks: what runs, where, with which outputs and in which state it ends."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.config.spec import Template, concrete
from tidewaiter.tasks import script
from tidewaiter.tasks.context import RunnerSettings
from tidewaiter.tasks.processes import Tree
from tidewaiter.tasks.script import Commands, ExecSpec, JbangScript, PythonCommands, PythonScript, Script, output_dir

PROCESS = {"type": "io.kestra.plugin.core.runner.Process"}
DOCKER = {"type": "io.kestra.plugin.scripts.runner.docker.Docker"}


def read(cls: type[ExecSpec], **properties: Any) -> Any:
    """A task as it is read from a flow."""
    given = {"id": "t", "type": cls.NAMES[0], "taskRunner": PROCESS, **properties}
    return cls.model_validate({name: value for name, value in given.items() if value is not None}, by_name=False)


def sh(*commands: str, **properties: Any) -> Commands:
    return read(Commands, commands=list(commands), **properties)


def python(text: str, **properties: Any) -> PythonScript:
    return read(PythonScript, script=text, **properties)


class TestState:
    async def test_success(self, context, log):
        """Exit code 0 and a silent stderr are success; stdout is logged."""
        result = await script.run(sh("echo hello"), context)

        assert (result.state, result.outputs["exitCode"], log.records) == ("SUCCESS", 0, [("INFO", "hello")])

    async def test_failure_tells_code_and_last_word(self, context, log):
        """Another exit code is failure, with the code and the last line on stderr as the reason, and outputs kept."""
        commands = ('echo \'::{"outputs": {"a": 1}}::\'', "echo no >&2; echo disk >&2; exit 3")
        result = await script.run(sh(*commands), context)

        assert (result.state, result.error) == ("FAILED", "exit code 3: disk")
        assert (result.outputs["vars"], result.outputs["exitCode"]) == ({"a": 1}, 3)
        assert log.at("ERROR") == ["no", "disk"]

    @pytest.mark.parametrize("output", ["echo oops >&2", "echo '::{}::' >&2"])
    @pytest.mark.parametrize(("accepted", "state"), [(None, "WARNING"), (True, "WARNING"), (False, "SUCCESS")])
    async def test_stderr(self, context, output, accepted, state):
        """Any line on stderr is a warning unless the task says otherwise; an understood line counts, too."""
        result = await script.run(sh(output, warningOnStdErr=accepted), context)

        assert result.state == state

    async def test_missing_interpreter(self, context):
        """An interpreter that is not installed is an error that names it."""
        with pytest.raises(TaskError, match="no-such-shell"):
            await script.run(sh("true", interpreter=["no-such-shell", "-c"]), context)


class TestCommands:
    async def test_one_shell_for_all(self, context, log):
        """All commands run in the same shell, the ones before included (Q6)."""
        await script.run(sh("echo $A", "pwd", beforeCommands=["A=1", "mkdir d", "cd d"]), context)

        assert log.at("INFO") == ["1", str(context.workdir / "d")]

    @pytest.mark.parametrize(("fail_fast", "code"), [(None, 1), (True, 1), (False, 0)])
    async def test_fail_fast(self, context, fail_fast, code):
        """The first failing command ends the task unless failFast is off."""
        result = await script.run(sh("false", "true", failFast=fail_fast), context)

        assert result.outputs["exitCode"] == code

    async def test_interpreter(self, context, log):
        """The interpreter can be another program, also one that is no shell."""
        await script.run(sh("print(6 * 7)", interpreter=["python3", "-c"]), context)

        assert log.at("INFO") == ["42"]

    async def test_environment(self, context, log, monkeypatch):
        """Declared variables arrive as data; the daemon's do not arrive."""
        monkeypatch.setenv("SECRET_X", "canary")
        env = {"K": "$(id)'\"", "N": 1, "B": True}
        await script.run(sh('echo "$K" $N $B [$SECRET_X] $EXECUTION_ID', env=env), context)

        assert log.at("INFO") == ["$(id)'\" 1 true [] e1"]

    async def test_internal_storage_uris(self, context, files, log):
        """URIs in commands and variables are replaced by paths of local copies, which outputFiles do not see."""
        uri = files.put("content")
        spec = sh(f"cat {uri}", 'cat "$F"', env={"F": uri}, beforeCommands=[f"cat '{uri}'"], outputFiles=["**"])
        result = await script.run(spec, context)

        assert (log.at("INFO"), result.outputs["outputFiles"]) == (["contentcontentcontent"], {})

    async def test_expression_for_the_whole_list(self, context, log):
        """The list of commands may be one expression."""
        await script.run(concrete(read(Commands, commands="{{ c }}"), lambda _: '["echo 1", "echo 2"]'), context)

        assert log.at("INFO") == ["1", "2"]

    @pytest.mark.parametrize("given", [[], None, "echo", [{"echo": "hello"}]])
    def test_no_list_of_commands(self, given):
        """A task without a list of commands is an error of the flow."""
        with pytest.raises(ValidationError):
            read(Commands, commands=given)

    async def test_killed_with_its_children(self, context, log):
        """Cancelling the task leaves no process."""
        task = asyncio.create_task(script.run(sh("setsid sleep 600 & echo ready; sleep 600"), context))
        async with asyncio.timeout(10):
            while not log.records:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not Tree(context.task_run_id).members()


class TestFiles:
    async def test_input_and_output_files(self, context, files):
        """Input files are there before the program starts, output files are kept after it, also when it fails."""
        inputs = {"in.txt": "a", "out/.keep": ""}
        spec = sh("cat in.txt > out/x.txt; exit 1", inputFiles=inputs, outputFiles=["out/*.txt"])
        result = await script.run(spec, context)

        assert (result.state, files.text(result.outputs["outputFiles"]["out/x.txt"])) == ("FAILED", "a")

    @pytest.mark.parametrize("given", [{"outputDirectory": True}, {"runner": "PROCESS"}])
    async def test_output_directory(self, context, files, given):
        """Everything in OUTPUT_DIR is kept; the directory starts empty and is gone afterwards."""
        output_dir(context.workdir).mkdir()
        (output_dir(context.workdir) / "old").touch()
        result = await script.run(sh("mkdir $OUTPUT_DIR/d; echo 1 > $OUTPUT_DIR/d/x", **given), context)

        assert {name: files.text(uri) for name, uri in result.outputs["outputFiles"].items()} == {"d/x": "1\n"}
        assert not output_dir(context.workdir).exists()

    async def test_output_directory_named_in_a_command(self, context):
        """A task that names the directory has it without asking."""
        result = await script.run(sh(f"touch {output_dir(context.workdir)}/x"), context)

        assert list(result.outputs["outputFiles"]) == ["x"]

    async def test_output_directory_replaced_by_a_link(self, context):
        """A program that replaces the directory by a link does not get at other files through it."""
        with pytest.raises(TaskError, match="link"):
            await script.run(sh("rmdir $OUTPUT_DIR; ln -s /etc $OUTPUT_DIR", outputDirectory=True), context)

        assert Path("/etc/passwd").exists()

    async def test_no_output_directory(self, context, log):
        """A task that does not use the directory does not see it."""
        await script.run(sh('echo "[$OUTPUT_DIR]"', "ls -A"), context)

        assert log.at("INFO") == ["[]"]


class TestScripts:
    async def test_python(self, context, log):
        """A Python script runs in the working directory, knows its siblings and JSON's literals, and leaves no file."""
        text = "import os, sibling\nprint(sibling.x, true, false, null, os.getcwd())"
        result = await script.run(python(text, inputFiles={"sibling.py": "x = 1"}, outputFiles=["script*"]), context)

        assert (result.state, log.at("INFO")) == ("SUCCESS", [f"1 True False None {context.workdir}"])
        assert result.outputs["outputFiles"] == {}

    async def test_python_future_and_line_numbers(self, context, log):
        """A script may begin as any Python file may, and a traceback names the lines of the script as written."""
        result = await script.run(python("from __future__ import annotations\n\nraise ValueError(true)"), context)

        assert result.error == "exit code 1: ValueError: True"
        assert any("line 3" in line for line in log.at("ERROR"))

    async def test_shell(self, context, log):
        """A shell script is given to the interpreter itself."""
        await script.run(read(Script, type="io.kestra.plugin.scripts.shell.Script", script="x=1\necho $x"), context)

        assert log.at("INFO") == ["1"]

    @pytest.mark.parametrize(
        ("language", "text"),
        [("node", "console.log(42)"), ("perl", "print 6 * 7, qq(\\n)"), ("ruby", "puts 42")],
    )
    async def test_other_languages(self, context, log, language, text):
        """Other languages run with the program of the table; one that is not installed is said to be missing."""
        result = await script.run(read(Script, type=f"{language}.Script", script=text), context)

        if shutil.which(language):
            assert log.at("INFO") == ["42"]
        else:
            assert (result.outputs["exitCode"], language in str(result.error)) == (127, True)

    def test_jbang(self):
        """JBang's file has the extension of its language, and JBang is told to be quiet."""
        spec = read(JbangScript, script="", extension=".kt")

        assert (spec.file_extension, spec.options) == (".kt", ("--quiet",))

    def test_every_type_name_selects_a_language(self):
        """Each name of each spec, long or short, leads to a language."""
        for cls in (Commands, Script, JbangScript, PythonCommands, PythonScript):
            for name in cls.accepted_names():
                assert cls.model_construct(id="t", type=name).language.name in name


class TestPythonProperties:
    async def test_dependency_that_does_not_exist(self, context):
        """A dependency that cannot be installed fails the task with pip's words."""
        spec = python("print(1)", dependencies=["./no-such-directory-here"])
        with pytest.raises(TaskError, match="no-such-directory-here"):
            await script.run(spec, context)

    async def test_dependency_already_there(self, context, log):
        """What pip says on the way is no output of the program."""
        result = await script.run(python("import pip; print(1)", dependencies=["pip"]), context)

        assert (result.state, log.at("INFO")) == ("SUCCESS", ["1"])

    async def test_python_version(self, context):
        """Another Python than the one asked for is refused, naming both."""
        with pytest.raises(TaskError, match=r"Python 3\.1, .* runs Python 3\.\d"):
            await script.run(python("print(1)", pythonVersion="3.1"), context)
        assert (await script.run(python("print(1)", pythonVersion="3"), context)).state == "SUCCESS"

    def test_all_properties(self):
        """The properties of newer versions are accepted."""
        given = {"packageManager": "UV", "dependencyCacheEnabled": False, "uvAutoInstallEnabled": False}
        newer = {"uvInstallerVersion": "1", "uvInstallerSha256": "0"}

        assert python("", **given, **newer).package_manager == "UV"


class TestWhereItRuns:
    @pytest.mark.parametrize(
        ("given", "image"),
        [
            ({}, "ubuntu"),
            ({"taskRunner": PROCESS}, None),
            ({"taskRunner": PROCESS, "containerImage": "i"}, None),
            ({"taskRunner": {"type": "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner"}}, None),
            ({"runner": "PROCESS", "docker": {"image": "i"}}, None),
            ({"runner": "PROCESS", "taskRunner": DOCKER}, None),
            ({"runner": "DOCKER", "taskRunner": PROCESS}, "ubuntu"),
            ({"taskRunner": DOCKER, "containerImage": "c"}, "c"),
            ({"taskRunner": {**DOCKER, "image": "r"}, "containerImage": "c"}, "r"),
            ({"docker": {"image": "d"}, "containerImage": "c"}, "d"),
            ({"taskRunner": PROCESS, "docker": {"image": "d"}}, None),
            ({"containerImage": "c"}, "c"),
        ],
    )
    def test_selection(self, given, image):
        """The old property decides before the new one; without any, a container is asked for."""
        assert sh("true", **{"taskRunner": None, **given}).image == image

    async def test_container_refused(self, make_context):
        """A container is refused unless the operator lets such tasks run here, with both ways out."""
        context = make_context(runners=RunnerSettings(docker="refuse"))
        with pytest.raises(TaskError, match=r"'ubuntu'.*TIDEWAITER_RUNNERS__DOCKER=process.*runner\.Process"):
            await script.run(sh("true", taskRunner=None), context)

    async def test_container_left_out(self, context, log):
        """When the operator says so, the task runs here and the log says that the image is not used."""
        result = await script.run(sh("true", taskRunner=None, docker={"image": "python:slim"}), context)

        assert result.state == "SUCCESS"
        assert [message for message in log.at("INFO") if "python:slim" in message]

    @pytest.mark.parametrize("name", ["io.kestra.plugin.ee.aws.runner.Batch", "Docker", None])
    def test_other_runners(self, name):
        """Another task runner is refused by name when the flow is read."""
        with pytest.raises(ValidationError, match="taskRunner"):
            sh("true", taskRunner={"type": name, "region": "x"})

    def test_all_docker_properties(self):
        """Every property of the Docker runner is known, and an unknown one is an error."""
        known = {
            "pullPolicy": "NEVER",
            "user": "1",
            "entryPoint": [""],
            "cpu": {"cpus": 0.5},
            "memory": {"memory": "512MB"},
            "volumes": ["a:b"],
            "networkMode": "host",
            "credentials": {"registry": "r"},
            "delete": True,
            "config": "{}",
        }
        assert sh("true", taskRunner={**DOCKER, **known}).image == "ubuntu"
        with pytest.raises(ValidationError, match="pullPolice"):
            sh("true", taskRunner={**DOCKER, "pullPolice": "NEVER"})

    def test_templates_inside(self):
        """Expressions inside the runner's properties are rendered."""
        spec = sh("true", taskRunner=None, docker={"image": "{{ i }}"}, containerImage="{{ i }}")

        assert concrete(spec, lambda _: "rendered").image == "rendered"
        assert isinstance(spec.docker.image, Template)
