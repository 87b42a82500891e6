"""The git repository that the demo's flow clones: made here, in place of one that would need the network."""

import os
import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path

from tidewaiter.config.errors import TidewaiterError

_AUTHOR = {"NAME": "Tidewaiter demo", "EMAIL": "demo@localhost", "DATE": "2026-01-01T00:00:00Z"}


def make_repository(folder: Path) -> None:
    """
    Make a repository in *folder* with one commit on ``main``, the same wherever it is made.

    Raises:
        TidewaiterError: git is not installed, or failed.
    """
    with as_file(files(__package__) / "files" / "repository") as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    _git(folder, "init", "--quiet", "--template=", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=Clean messy datasets")


def redirect(url: str, repository: Path, config: Path) -> None:
    """
    Write a git configuration that leads from *url* to *repository* (git-config(1), ``url.<base>.insteadOf``).

    Raises:
        TidewaiterError: git failed.
    """
    _git(repository, "config", "--file", str(config), f"url.{repository.as_uri()}.insteadOf", url)


def _git(folder: Path, *arguments: str) -> None:
    """Run git with the configuration of this machine and this user left out."""
    identity = {f"GIT_{who}_{name}": value for who in ("AUTHOR", "COMMITTER") for name, value in _AUTHOR.items()}
    isolation = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    try:
        subprocess.run(  # noqa: S603 - our own arguments, no shell
            ("git", *arguments),  # noqa: S607 - the git the user has
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), **isolation, **identity},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise TidewaiterError(
            "the demo needs git: there is no program 'git' on PATH", "install it, for example with 'apt install git'"
        ) from error
    except subprocess.CalledProcessError as error:
        raise TidewaiterError(f"git {arguments[0]} failed: {error.stderr.strip()}") from error
