"""``tidewaiter fsck``."""

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path

from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import note, printable, say, say_json
from tidewaiter.daemon.comparison import Examination, Finding
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.fsck import Fsck
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.storage import Storage


def run(options: argparse.Namespace) -> int:
    """Check a state directory; gives 0 if nothing is left to do, else 1."""
    state = settings_from(options).state_dir.absolute()
    if not (state / "storage").is_dir():
        hint = "name it with --state-dir or TIDEWAITER_STATE_DIR"
        raise ConfigError([Problem(str(state), 0, 0, "no tidewaiter has worked in this state directory", hint)])
    found = asyncio.run(_check(state, repair=options.repair, accept_rollback=options.accept_rollback))
    if options.json:
        say_json([asdict(finding) | {"repaired": _repaired(finding, options)} for finding in found.findings])
    else:
        for finding in found.findings:
            _tell(finding, repaired=_repaired(finding, options))
        note(_summary(found, repaired=options.repair))
    return 0 if all(_repaired(finding, options) for finding in found.findings) else 1


async def _check(state: Path, *, repair: bool, accept_rollback: bool) -> Examination:
    async with database_at(state / "tidewaiter.db") as database:
        journal = await Journal.over(database)
        fsck = Fsck(database, journal, Storage(state / "storage"), accept_rollback=accept_rollback)
        found = await fsck.examine()
        if repair:
            await fsck.repair(found)
        return found


def _repaired(finding: Finding, options: argparse.Namespace) -> bool:
    return bool(options.repair and finding.repair)


def _tell(finding: Finding, *, repaired: bool) -> None:
    say(f"{finding.kind:<9}  {printable(finding.subject)}: {printable(finding.message)}")
    if finding.repair:
        say(f"           {'done' if repaired else 'would'}: {finding.repair}")


def _summary(found: Examination, *, repaired: bool) -> str:
    if not found.findings:
        return "journal and storage agree"
    open_ones = sum(1 for finding in found.findings if finding.repair is None)
    if repaired:
        return f"repaired {len(found.findings) - open_ones} of {len(found.findings)} findings"
    hint = "; 'tidewaiter fsck --repair' does what is said" if open_ones < len(found.findings) else ""
    return f"{len(found.findings)} findings{hint}"
