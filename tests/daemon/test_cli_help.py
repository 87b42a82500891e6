"""Help is instant and says what each verb does."""

import subprocess
import sys
import time

import pytest

VERBS = [
    "run",
    "validate",
    "lint",
    "migrate",
    "test",
    "executions",
    "triggers",
    "doctor",
    "fsck",
    "demo",
    "schema",
    "version",
]
HEAVY = ("pydantic", "aiohttp", "botocore", "yaml", "jinja2", "sqlite3", "structlog")


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.daemon", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS), ["executions", "list"], ["triggers", "pause"]])
def test_help_is_on_stdout(arguments: list[str]) -> None:
    """It succeeds, names the command and its options."""
    shown = cli(*arguments, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"usage: {' '.join(['tidewaiter', *arguments])}")


def test_every_verb_is_listed_with_a_summary() -> None:
    """The first page shows all there is, and examples."""
    shown = cli("--help").stdout
    assert [verb for verb in VERBS if f"\n    {verb}" not in shown] == []
    assert "examples:" in shown


def test_help_loads_nothing_of_the_product() -> None:
    """That is what makes it instant."""
    code = (
        "import contextlib, sys\n"
        "from tidewaiter.daemon.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['run', '--help'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_help_is_fast() -> None:
    """Faster than anybody notices, even on a busy machine."""
    best = min(_seconds() for _ in range(3))
    assert best < 1.0


def _seconds() -> float:
    started = time.monotonic()
    cli("validate", "--help")
    return time.monotonic() - started


@pytest.mark.parametrize("arguments", [[], ["nope"], ["validate"], ["run", "--nope"], ["executions"], ["test"]])
def test_a_command_that_makes_no_sense(arguments: list[str]) -> None:
    """Exit code 2, with the usage on stderr."""
    shown = cli(*arguments)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("usage: tidewaiter")
