"""The environment of programs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tidewaiter.tasks.context import RunnerSettings, TaskContext
from tidewaiter.tasks.environment import environment

ALLOWED = {
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "HOME",
    "TMPDIR",
    "WORKING_DIR",
    "EXECUTION_ID",
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "PIP_USER",
    "PIP_BREAK_SYSTEM_PACKAGES",
    "PIP_ROOT_USER_ACTION",
    "PIP_CACHE_DIR",
    "PIP_DISABLE_PIP_VERSION_CHECK",
}


def shell(script: str, context: TaskContext) -> str:
    """What *script* prints in the environment of *context*."""
    ran = subprocess.run(
        ("/bin/sh", "-ec", script),
        env=environment(context, {}),
        cwd=context.workdir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture(name="wheel")
def _wheel(tmp_path: Path) -> Path:
    """A package that no machine has, with one module and one program."""
    path = tmp_path / "tidalprobe-1.0-py3-none-any.whl"
    info = "tidalprobe-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tidalprobe.py", "def main(): print(__file__)\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tidalprobe\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntidalprobe = tidalprobe:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(name="only_python3")
def _only_python3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose PATH has a shell and python3, but neither python nor pip."""
    directory = tmp_path / "host-bin"
    directory.mkdir()
    for name in ("sh", "cat", "dirname"):
        (directory / name).symlink_to(str(shutil.which(name)))
    (directory / "python3").symlink_to(os.path.realpath(sys._base_executable))
    monkeypatch.setenv("PATH", str(directory))


class TestVariables:
    def test_secrets_of_the_daemon_stay_there(self, context, monkeypatch):
        """Nothing of the daemon's environment gets through but what is on the list."""
        monkeypatch.setenv("SECRET_TOKEN", "canary")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
        given = environment(context, {})

        assert set(given) <= ALLOWED
        assert "canary" not in "".join(given.values())

    def test_later_sources_win(self, make_context):
        """The operator's variables, the run's identity and the flow's variables come in, in this order."""
        context = make_context(runners=RunnerSettings(environment={"A": "operator", "B": "operator", "HOME": "/x"}))
        given = environment(context, {"B": "flow"})

        assert [given[name] for name in ("A", "B", "HOME", "EXECUTION_ID")] == ["operator", "flow", "/x", "e1"]

    def test_home_is_private(self, context):
        """HOME and TMPDIR are the run's own."""
        given = environment(context, {})

        assert given["HOME"] == given["TMPDIR"] == str(context.scratch)

    def test_virtual_environment_of_the_daemon_is_out_of_path(self, context, monkeypatch):
        """The daemon's own virtual environment cannot be reached through PATH, whatever way it is written."""
        monkeypatch.setenv("PATH", f"{sys.prefix}/bin:{sys.prefix}/bin/../bin/:/usr/bin")
        entries = environment(context, {})["PATH"].split(os.pathsep)

        assert sys.prefix != sys.base_prefix, "the tests run in a virtual environment"
        assert os.path.realpath(f"{sys.prefix}/bin") not in map(os.path.realpath, entries)
        assert "/usr/bin" in entries


class TestPython:
    @pytest.mark.usefixtures("only_python3")
    def test_python_and_pip_where_there_is_only_python3(self, context):
        """``python`` and ``pip`` work on a machine that has only ``python3``."""
        assert shell("python -c 'import sys; print(sys.prefix)'", context) == sys.base_prefix
        assert shell("pip --version", context).startswith("pip ")

    def test_python_where_there_is_none(self, context, tmp_path, monkeypatch):
        """On a machine without any Python the one that the daemon runs on is used, outside its virtual environment."""
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))

        assert shell("python -c 'import sys; print(sys.prefix)'", context) == sys.base_prefix

    def test_the_machine_s_own_python_is_preferred(self, context, tmp_path, monkeypatch):
        """The stand-ins come last in PATH."""
        (tmp_path / "python").write_text("#!/bin/sh\necho mine\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

        assert shell("python", context) == "mine"

    def test_installed_package(self, context, wheel):
        """A package installed with pip is found by the same run, as a module and as a program, and lies in its home."""
        installed = shell(f"pip install -q --no-index {wheel}; tidalprobe; python -c 'import tidalprobe'", context)

        assert installed.startswith(str(context.scratch))

    def test_package_in_a_virtual_environment(self, context, wheel):
        """In a virtual environment that the flow makes, pip installs into that."""
        script = f"python -m venv v; . v/bin/activate; pip install -q --no-index {wheel}; tidalprobe"

        assert shell(script, context).startswith(str(context.workdir / "v"))

    def test_module_path_of_the_flow(self, context):
        """A PYTHONPATH that the flow declares is kept."""
        (context.workdir / "mine.py").write_text("print('mine')")
        given = environment(context, {"PYTHONPATH": str(context.workdir)})

        assert subprocess.check_output(("python3", "-c", "import mine"), env=given, text=True) == "mine\n"

    def test_sitecustomize_of_the_machine_runs(self, context):
        """The start-up file that is put in front of the machine's own gives way to it."""
        (context.workdir / "sitecustomize.py").write_text("print('machine')")
        given = environment(context, {}) | {}
        given["PYTHONPATH"] += f":{context.workdir}"
        program = "import sitecustomize, sys; print(sitecustomize.__file__)"

        expected = f"machine\n{context.workdir}/sitecustomize.py\n"
        assert subprocess.check_output(("python3", "-c", program), env=given, text=True) == expected

    def test_stand_ins_are_restored(self, context):
        """What a run did to the shared stand-ins is undone for the next."""
        environment(context, {})
        (context.cache / "bin" / "python").write_text("evil")
        environment(context, {})

        assert "evil" not in (context.cache / "bin" / "python").read_text()
        assert len(list((context.cache / "bin").iterdir())) == 3
