"""
The environment of programs: an allow-list, never the daemon's own variables, which hold its secrets (kestra.md D26).

Python packages that a flow installs go to the run's private home, never into the daemon's or the machine's Python.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tidewaiter.tasks.context import TaskContext

_PASSED_ON = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ")

PYTHON_LITERALS = "TIDEWAITER_PYTHON_LITERALS"
"""Set in a program's environment, it makes ``true``, ``false`` and ``null`` known to Python (kestra.md §1.10)."""

_SITECUSTOMIZE = f'''\
"""Start-up of Python programs in task runs."""
import os
import sys

if sys.prefix != getattr(sys, "base_prefix", sys.prefix):
    # pip refuses --user inside a virtual environment; there it installs into that environment.
    os.environ.pop("PIP_USER", None)
if "{PYTHON_LITERALS}" in os.environ:
    try:
        import builtins
    except ImportError:
        import __builtin__ as builtins
    builtins.true, builtins.false, builtins.null = True, False, None

# Give way to the sitecustomize of this machine, if it has one.
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]
_this = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = _this
'''


def environment(context: TaskContext, declared: Mapping[str, str]) -> dict[str, str]:
    """
    Give the whole environment of a program of the task run *context*.

    From weak to strong: the locale and time zone of the daemon, what Tidewaiter sets, the operator's
    ``runners.environment``, what identifies the run, and what the flow has *declared*.
    """
    variables = {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PATH": _search_path(context),
        "HOME": str(context.scratch),
        "TMPDIR": str(context.scratch),
        "WORKING_DIR": str(context.workdir),
        **_python(context),
        **context.runners.environment,
        **context.environment,
        **declared,
    }
    startup = str(_startup_directory(context.cache))
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), startup)))
    return variables


def _python(context: TaskContext) -> dict[str, str]:
    """Make ``pip install`` work for any user on any machine: into ``HOME``, even if the distribution owns Python."""
    return {
        "PYTHONUNBUFFERED": "true",
        "PIP_USER": "1",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CACHE_DIR": str(context.cache / "pip"),
    }


def _search_path(context: TaskContext) -> str:
    """
    The daemon's ``PATH`` between the programs that the run installs itself and stand-ins for those the machine lacks.

    The virtual environment the daemon may live in is left out: what a flow installs must not change the daemon.
    """
    daemon = os.environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [entry for entry in daemon if entry and not _in_own_environment(entry)]
    return os.pathsep.join([str(context.scratch / ".local" / "bin"), *kept, str(_stand_ins(context.cache))])


def _in_own_environment(directory: str) -> bool:
    """Tell whether *directory*, however it is written, is the ``bin`` of the virtual environment of the daemon."""
    try:
        return sys.prefix != sys.base_prefix and Path(sys.prefix, "bin").samefile(directory)
    except OSError:
        return False


def _stand_ins(cache: Path) -> Path:
    """Give the directory, last in ``PATH``, of ``python3``, ``python`` and ``pip`` for machines without them."""
    directory = cache / "bin"
    _keep(directory / "python3", f'#!/bin/sh\nexec "{_base_python()}" "$@"\n', mode=0o755)
    _keep(directory / "python", '#!/bin/sh\nexec python3 "$@"\n', mode=0o755)
    _keep(directory / "pip", '#!/bin/sh\nexec python3 -m pip "$@"\n', mode=0o755)
    return directory


def _base_python() -> str:
    """The interpreter the daemon runs on, outside of any virtual environment; a pyenv shim is looked through."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _startup_directory(cache: Path) -> Path:
    directory = cache / "python"
    _keep(directory / "sitecustomize.py", _SITECUSTOMIZE, mode=0o644)
    return directory


def _keep(path: Path, content: str, *, mode: int) -> None:
    """See to it that *path* holds *content*; programs starting at the same time never see half of it."""
    try:
        if path.read_text(encoding="utf-8") == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    Path(file.name).replace(path)
