"""``tidewaiter migrate``."""

import argparse
import difflib
import os
import stat
import tempfile
from pathlib import Path

from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.daemon.cli.terminal import note, printable, say
from tidewaiter.daemon.flows import flow_files
from tidewaiter.daemon.migrate import migrate


def run(options: argparse.Namespace) -> int:
    """Rewrite flow files, or show what would change."""
    files = flow_files(options.paths)
    changed, wrong = 0, 0
    for file in files:
        try:
            changed += _migrate(file, options)
        except ConfigError as error:
            wrong += 1
            note("\n".join(printable(str(problem)) for problem in error.problems))
    verb = "changed" if options.write else "would change"
    note(f"{changed} of {len(files)} flow files {verb}" + (f", {wrong} cannot be read" if wrong else ""))
    return 2 if wrong else 1 if options.check and changed else 0


def _migrate(file: Path, options: argparse.Namespace) -> bool:
    """Do one file; gives whether it is outdated."""
    before = _text(file)
    after = migrate(before, str(file))
    for left in after.notes:
        note(printable(str(left)))
    if after.text == before:
        return False
    if options.write:
        replace(file, after.text)
    elif options.check:
        say(str(file))
    else:
        say(_diff(before, after.text, str(file)))
    return True


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(file), 0, 0, f"cannot be read: {error}")]) from error


def _diff(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(map(printable, lines))


def replace(file: Path, text: str) -> None:
    """
    Put *text* into *file* as a whole, keeping its mode; a link stays one. Nobody ever sees half of it.

    Raises:
        ConfigError: the folder cannot be written.
    """
    target = file.resolve()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".migrate-") as folder:
            new = Path(folder) / target.name
            new.write_bytes(text.encode())
            new.chmod(stat.S_IMODE(target.stat().st_mode))
            with new.open("rb") as written:
                os.fsync(written.fileno())
            new.replace(target)
    except OSError as error:
        raise ConfigError([Problem(str(file), 0, 0, f"cannot be written: {error.strerror}")]) from error
