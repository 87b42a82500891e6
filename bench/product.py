"""Tidewaiter as a user installs it: this checkout in a virtual environment of its own, without development tools."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_VENV = ROOT / ".venv" / "bench"
_PARTS = ("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "src", "config", "triggers", "tasks", "daemon")


def install() -> Path:
    """
    Give the program ``tidewaiter`` of an up-to-date installation of the checkout; it is kept for the next time.

    Raises:
        subprocess.CalledProcessError: pip could not install it; it has said why.
    """
    stamp, digest = _VENV / "installed", _digest()
    if not stamp.exists() or stamp.read_text() != digest:
        if not (_VENV / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            _pip_install(_copy(Path(folder) / "tidewaiter"))
        stamp.write_text(digest)
    return _VENV / "bin" / "tidewaiter"


def _pip_install(source: Path) -> None:
    constraint = ("--constraint", str(ROOT / "requirements.lock"))
    pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    # Our stdout is for results.
    subprocess.run([*pip, *constraint, str(source)], check=True, stdout=sys.stderr)


def _copy(destination: Path) -> Path:
    """Copy what is installed elsewhere: pip builds in place, and would find what an earlier build left there."""
    destination.mkdir()
    for part in _parts():
        target = destination / part.name
        if part.is_dir():
            shutil.copytree(part, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copyfile(part, target)
    return destination


def _parts() -> list[Path]:
    return [ROOT / name for name in _PARTS if (ROOT / name).exists()]


def _digest() -> str:
    """Tell one state of the installed files from another."""
    digest = hashlib.sha256()
    for file in sorted(file for part in _parts() for file in _files(part)):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(part: Path) -> Iterator[Path]:
    found = part.rglob("*") if part.is_dir() else iter([part])
    return (file for file in found if file.is_file() and "__pycache__" not in file.parts)
