"""``tidewaiter triggers``."""

import argparse
from collections.abc import Mapping
from typing import Any

from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import ago, note, printable, say, say_json, table

_SELDOM = frozenset({"PARKED", "QUARANTINED", "BACKLOG", "HELD"})
_COLUMNS = (
    *("TRIGGER", "STATE", "WATCHES", "ACTION", "DELETES", "LAST POLL", "IN CUSTODY"),
    *("PARKED", "QUARANTINED", "BACKLOG", "HELD"),
)


def list_(options: argparse.Namespace) -> int:
    """Show every trigger and what it has in hand."""
    settings = settings_from(options)
    found = ask(settings, "GET", "triggers")
    if getattr(options, "json", False):
        say_json(found)
        return 0
    rows = [_row(item) for item in found]
    # What nothing is to be said about would only make the lines longer.
    shown = [
        at for at, name in enumerate(_COLUMNS) if name not in _SELDOM or any(row[at] not in {"-", "0"} for row in rows)
    ]
    table([_COLUMNS[at] for at in shown], [[row[at] for at in shown] for row in rows])
    for item in found:
        if problem := item["problem"]:
            since = f" since {ago(problem['since'])}" if problem["since"] else ""
            say(f"\n{item['name']}: {problem['cause']}{since}\n  {printable(problem['message'])}")
            if problem["hint"]:
                say(f"  hint: {printable(problem['hint'])}")
    if not found:
        note("no triggers: no flow with a trigger is served")
    return 0


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    counts = item["detections"]
    live = sum(counts.get(state, 0) for state in ("CLAIMED", "STORED", "COPIED", "ACTION_BLOCKED"))
    watches = f"s3://{item['bucket']}/{item['prefix'] or ''}" if item["bucket"] else item.get("watches") or "-"
    return (
        item["name"],
        item["state"],
        watches,
        item["action"] or "-",
        _deletes(item["capabilities"]),
        ago(item["lastPoll"]),
        str(live),
        str(counts.get("PARKED", 0)),
        str(counts.get("QUARANTINED", 0)),
        _backlog(item),
        ", ".join(f"{number} by {rule}" for rule, number in item["held"].items()) or "-",
    )


def _backlog(item: dict[str, Any]) -> str:
    """How many objects were left because of limits, and since when the oldest waits; ``+``: at least that many."""
    backlog = item["backlog"]
    if not backlog or not backlog["objects"]:
        return "yes" if item["waiting"] else "-"
    return f"{backlog['objects']}{'' if backlog['complete'] else '+'}, oldest {ago(backlog['oldest'])}"


def _deletes(capabilities: Mapping[str, Any] | None) -> str:
    """Say what makes deletes safe on the store, as far as it was asked."""
    if capabilities is None:
        return "-"
    if capabilities["versioning"]:
        return "by version"
    return "conditionally" if capabilities["deleteIfMatch"] else "unsafe"


def pause(options: argparse.Namespace) -> int:
    """Stop a trigger's looking for new objects."""
    return _request(options, "pause", "paused: it claims nothing new; what is in custody goes on")


def resume(options: argparse.Namespace) -> int:
    """Let a trigger look again."""
    return _request(options, "resume", "resumed")


def poll(options: argparse.Namespace) -> int:
    """Make a trigger look now."""
    return _request(options, "poll", "is looking now")


def _request(options: argparse.Namespace, verb: str, done: str) -> int:
    answer = ask(settings_from(options), "POST", f"triggers/{options.trigger}/{verb}")
    note(f"{answer['trigger']} {done}")
    return 0
