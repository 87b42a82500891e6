"""``tidewaiter version``."""

import argparse
import json
import platform
import sqlite3

from tidewaiter import __version__
from tidewaiter.daemon.cli.terminal import say


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    if options.json:
        say(
            json.dumps(
                {"tidewaiter": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
            )
        )
    else:
        say(f"tidewaiter {__version__}")
    return 0
