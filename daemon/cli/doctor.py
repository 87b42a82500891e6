"""``tidewaiter doctor``."""

import argparse
import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.app import make_host
from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import coloured, note, printable, say, say_json
from tidewaiter.daemon.doctor import machine
from tidewaiter.daemon.doctor.finding import Finding
from tidewaiter.daemon.doctor.flows import containers, load, secrets
from tidewaiter.daemon.doctor.stores import Stores, Watched, distinct, watched
from tidewaiter.daemon.probes import Probes
from tidewaiter.daemon.scope import Host, rendered_trigger
from tidewaiter.triggers.aws import Clients

_SHOWN = {"ok": "OK", "warning": "WARNING", "problem": "ERROR"}


def run(options: argparse.Namespace) -> int:
    """Check what a new user gets wrong; gives 1 if there is a problem."""
    settings = settings_from(options)
    environment = dict(os.environ)
    host = make_host(settings, os.environ)
    findings = list(_findings(settings, host, environment, probing=options.probe))
    if options.json:
        say_json([asdict(finding) for finding in findings])
    else:
        _tell(findings)
    return int(any(finding.level == "problem" for finding in findings))


def _findings(settings: Settings, host: Host, environment: Mapping[str, str], *, probing: bool) -> Iterator[Finding]:
    served = _served(settings)
    yield from machine.versions()
    yield from machine.programs()
    yield from machine.state_directory(settings.state_dir)
    yield from machine.journal(settings.state_dir, daemon=served is not None)
    expressions = Expressions()
    loaded = load(settings.flows, expressions)
    flows = loaded.flows.flows
    yield from loaded.findings
    yield from secrets(flows, host.secrets)
    yield from containers(flows, settings.runners.docker)
    triggers = list(watched(flows, lambda flow, trigger: rendered_trigger(flow, 1, trigger, host, expressions)))
    yield from (item for item in triggers if isinstance(item, Finding))
    groups = distinct(item for item in triggers if isinstance(item, Watched))
    known = {item["name"]: item["capabilities"] for item in served or ()}
    probes = Probes(settings.scratch_prefix) if probing else None
    yield from asyncio.run(_stores(groups, known, probes, environment))


async def _stores(
    groups: Sequence[list[Watched]],
    known: Mapping[str, Any],
    probes: Probes | None,
    environment: Mapping[str, str],
) -> list[Finding]:
    async with Clients(environment) as clients:
        stores = Stores(clients, known.get, probes)
        found = await asyncio.gather(*(stores.check(group) for group in groups))
    return [finding for findings in found for finding in findings]


def _served(settings: Settings) -> list[dict[str, Any]] | None:
    """Give the triggers of the daemon that runs there; None when none does."""
    if not (settings.state_dir / "control.sock").exists():
        return None
    try:
        found: list[dict[str, Any]] = ask(settings, "GET", "triggers")
        return found if ask(settings, "GET", "status")["daemon"] else None
    except TidewaiterError:
        return None


def _tell(findings: Sequence[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = coloured(_SHOWN[finding.level].ljust(7))
        say(f"{mark}  {printable(finding.subject).ljust(width)}  {printable(finding.message)}")
        if finding.remedy:
            say(f"{'':9}{'':{width}}  → {printable(finding.remedy)}")
    problems = sum(finding.level == "problem" for finding in findings)
    note(f"problems: {problems}" if problems else "nothing keeps Tidewaiter from working")
