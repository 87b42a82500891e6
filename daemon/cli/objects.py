"""``tidewaiter objects``."""

import argparse
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem, TidewaiterError
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import ago, note, printable, say, say_json, size, table

_AT_ONCE = "1000"


def list_(options: argparse.Namespace) -> int:
    """List objects, newest first."""
    settings = settings_from(options)
    found = ask(
        settings,
        "GET",
        "objects",
        state=options.state,
        trigger=options.trigger,
        prefix=options.prefix,
        limit=str(options.limit),
    )
    if options.json:
        say_json(found)
        return 0
    table(
        ("ID", "STATE", "OBJECT", "SIZE", "EXECUTION", "CHANGED", "REASON"),
        [
            (
                item["id"],
                item["state"],
                f"s3://{item['bucket']}/{item['key']}",
                size(item["size"]),
                (item["executionId"] or "-")[:8],
                ago(item["updatedAt"]),
                item["error"] or "",
            )
            for item in found
        ],
    )
    if not found:
        note("no such objects")
    return 0


def show(options: argparse.Namespace) -> int:
    """Show one object."""
    item = ask(settings_from(options), "GET", f"objects/{options.id}")
    if options.json:
        say_json(item)
        return 0
    for name, value in _story(item):
        if value:
            say(f"{name:<13} {printable(str(value))}")
    return 0


def _story(item: dict[str, Any]) -> list[tuple[str, Any]]:
    route = item["route"]
    return [
        ("object", f"s3://{item['bucket']}/{item['key']}"),
        ("state", item["state"]),
        ("reason", item["error"]),
        ("trigger", item["trigger"]),
        ("etag", item["etag"]),
        ("version", item["versionId"]),
        ("size", size(item["size"])),
        ("modified", item["lastModified"]),
        ("execution", item["executionId"]),
        ("moved to", _place(item["movedTo"])),
        (f"on {route['purpose'].lower()}" if route else "", _way(route) if route else None),
        ("failed steps", item["attempts"] or (route and route["attempts"])),
        ("next try", item["nextTry"] or (route and route["nextTry"])),
        ("changed", f"{item['updatedAt']} ({ago(item['updatedAt'])})"),
    ]


def _place(place: dict[str, str] | None) -> str | None:
    return f"s3://{place['bucket']}/{place['key']}" if place else None


def _way(route: dict[str, Any]) -> str:
    place = f"s3://{route['bucket']}/{route['key']}" if route["key"] else "removed"
    return place if route["state"] == "DONE" else f"{place} ({route['state'].lower()})"


def retry(options: argparse.Namespace) -> int:
    """Take objects up again; 1 if one of them could not be."""
    settings = settings_from(options)
    if not options.ids and not options.trigger:
        raise ConfigError([Problem("objects retry", 0, 0, "names no object", "give ids, or --trigger FLOW/TRIGGER")])
    code = 0
    for identifier in options.ids or _all_of(settings, options.trigger):
        try:
            answer = ask(settings, "POST", f"objects/{identifier}/retry")
            note(f"{printable(answer['key'])} {answer['done']}")
        except TidewaiterError as error:
            note(f"tidewaiter: {error.message}" + (f"\n  hint: {error.hint}" if error.hint else ""))
            code = 1
    return code


def _all_of(settings: Settings, trigger: str) -> list[str]:
    found = [
        item["id"]
        for state in ("QUARANTINED", "PARKED")
        for item in ask(settings, "GET", "objects", state=state, trigger=trigger, limit=_AT_ONCE)
    ]
    if not found:
        note(f"no object of {trigger} is quarantined or parked")
    return found
