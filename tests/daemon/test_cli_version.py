"""``tidewaiter version``."""

import json

import pytest

from tidewaiter import __version__
from tidewaiter.daemon.cli import main


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for people."""
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"tidewaiter {__version__}\n"


def test_the_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With what a report of a mistake should name."""
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"tidewaiter", "python", "sqlite"}
