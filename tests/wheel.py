"""
Run tests on the built wheel, as users get it, instead of on the checkout.

``python tests/wheel.py [PYTEST ARGUMENT ...]``: builds sdist and wheel, installs the wheel into an environment of its
own, and runs pytest there on a copy of the tests without the sources beside them. Without arguments everything but
the benchmark's own tests.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = (
    "tests",
    "docs",
    "examples",
    "systemd",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Makefile",
    "pyproject.toml",
    ".ci",
)
ALL = ("-n", "auto", "tests", "--ignore=tests/bench")


def main(arguments: list[str]) -> int:
    """Build, install, test; gives pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="tidewaiter-wheel-") as folder:
        place = Path(folder)
        wheel = built(place)
        python = installed(place, wheel)
        copied(place / "tree")
        if (ROOT.parent / "shared").is_dir():
            (place / "shared").symlink_to(ROOT.parent / "shared")
        command = [python, "-m", "pytest", *(arguments or ALL)]
        return subprocess.run(command, cwd=place / "tree", check=False).returncode


def built(place: Path) -> Path:
    """Build from a copy of the tracked files: pip and build leave traces where they build."""
    sources = place / "sources"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        target = sources / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists() or (ROOT / name).is_symlink():
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", place / "dist", sources], check=True, stdout=subprocess.DEVNULL
    )
    return next((place / "dist").glob("*.whl"))


def installed(place: Path, wheel: Path) -> Path:
    """Install the wheel with its extras into a fresh environment; gives its Python."""
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "requirements.lock", f"{wheel}[dev]"], check=True)
    return python


def copied(tree: Path) -> None:
    """Copy what the tests read, but not what they test."""
    tree.mkdir()
    for name in BESIDE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, tree / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
