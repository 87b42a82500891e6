"""``tidewaiter executions``."""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem, TidewaiterError
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import (
    ago,
    coloured,
    duration,
    log_line,
    note,
    printable,
    say,
    say_json,
    size,
    table,
)
from tidewaiter.daemon.storage import Storage
from tidewaiter.daemon.views import stored_files

_FOLLOW_SECONDS = 0.5


def list_(options: argparse.Namespace) -> int:
    """List executions, newest first."""
    settings = settings_from(options)
    found = ask(
        settings,
        "GET",
        "executions",
        state=getattr(options, "state", None),
        flow=getattr(options, "flow", None),
        limit=str(getattr(options, "limit", 100)),
    )
    if getattr(options, "json", False):
        say_json(found)
        return 0
    table(
        ("ID", "STATE", "FLOW", "OBJECTS", "CREATED", "TOOK"),
        [
            (
                item["id"][:8],
                item["state"],
                f"{item['namespace']}.{item['flowId']}",
                _objects(item),
                ago(item["createdAt"]),
                duration(item["startedAt"], item["endedAt"]),
            )
            for item in found
        ],
    )
    if not found:
        note("no executions yet")
    return 0


def _objects(item: dict[str, Any]) -> str:
    keys = [found["key"] for found in item["trigger"]["objects"]]
    return f"{keys[0]} and {len(keys) - 1} more" if len(keys) > 1 else "".join(keys)


def show(options: argparse.Namespace) -> int:
    """Show one execution."""
    settings = settings_from(options)
    item = ask(settings, "GET", f"executions/{options.id}")
    if options.json:
        say_json(item)
        return 0
    report(item)
    return 0


def report(item: dict[str, Any]) -> None:
    """Print one execution for people: what came, what was done, what came out."""
    say(
        f"execution {item['id']}  {coloured(item['state'])}  "
        f"{item['namespace']}.{item['flowId']} revision {item['flowRevision']}"
    )
    say(
        f"created {item['createdAt']}, took {duration(item['startedAt'], item['endedAt'])}, attempts {item['attempts']}"
    )
    if item["error"]:
        say(f"error: {printable(item['error'])}")
    for found in item["trigger"]["objects"]:
        moved = f" -> s3://{found['movedTo']['bucket']}/{found['movedTo']['key']}" if found["movedTo"] else ""
        where = printable(f"s3://{found['bucket']}/{found['key']}{moved}")
        say(f"object {where}  {size(found['size'])}  {found['changeType']}")
    if item["taskRuns"]:
        say("")
        table(
            ("TASK", "STATE", "ATTEMPTS", "TOOK"),
            [
                (run["path"], run["state"], str(run["attempts"]), duration(run["startedAt"], run["endedAt"]))
                for run in item["taskRuns"]
            ],
        )
    if files := stored_files(item["taskRuns"], item["outputs"]):
        say("")
        for name, uri in files.items():
            say(f"{printable(name)}  {uri}")


def logs(options: argparse.Namespace) -> int:
    """Print the log of one execution."""
    settings = settings_from(options)
    lines: list[dict[str, Any]] = []
    after = 0
    while True:
        ended = options.follow and ask(settings, "GET", f"executions/{options.id}")["endedAt"]
        new = ask(settings, "GET", f"executions/{options.id}/logs", after=str(after))
        lines += new
        for line in () if options.json else new:
            say(log_line(line))
        after = lines[-1]["line"] if lines else 0
        if not new and (ended or not options.follow):
            break
        if not new:
            time.sleep(_FOLLOW_SECONDS)
    if options.json:
        say_json(lines)
    return 0


def outputs(options: argparse.Namespace) -> int:
    """Print what the tasks of one execution gave."""
    item = ask(settings_from(options), "GET", f"executions/{options.id}")
    values = {run["taskId"]: run["outputs"] for run in item["taskRuns"]}
    if options.json:
        say_json(
            {"tasks": values, "outputs": item["outputs"], "files": stored_files(item["taskRuns"], item["outputs"])}
        )
        return 0
    for task, given in [*values.items(), ("(flow)", item["outputs"])]:
        for name, value in given.items():
            if name not in {"outputFiles", "uris"}:
                say(f"{task}.{name} = {printable(json.dumps(value, ensure_ascii=False))}")
    for name, uri in stored_files(item["taskRuns"], item["outputs"]).items():
        say(f"{printable(name)}  {uri}")
    return 0


def download(options: argparse.Namespace) -> int:
    """Copy files that an execution gave out."""
    settings = settings_from(options)
    item = ask(settings, "GET", f"executions/{options.id}")
    available = stored_files(item["taskRuns"], item["outputs"])
    missing = [name for name in options.names if name not in available]
    if missing:
        raise TidewaiterError(
            f"execution {item['id']} gave out no file '{missing[0]}'", f"it has: {', '.join(available) or 'none'}"
        )
    copied = save(settings, {name: available[name] for name in options.names or available}, options.output)
    note(f"{copied} files copied to {options.output}")
    return 0


def save(settings: Settings, files: dict[str, str], folder: Path) -> int:
    """Copy stored *files* (name → URI) below *folder*, keeping their names; gives their number."""
    storage = Storage(settings.state_dir / "storage")
    for name, uri in files.items():
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts:
            raise TidewaiterError(f"'{name}' would leave {folder}")
        target = folder.joinpath(*parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(storage.path(uri), target)
        except OSError as error:
            raise TidewaiterError(
                f"cannot write {target}: {error.strerror}", "choose another --output folder"
            ) from error
    return len(files)


def replay(options: argparse.Namespace) -> int:
    """Run an execution again."""
    item = ask(settings_from(options), "POST", f"executions/{options.id}/replay")
    say_json(item) if options.json else say(item["id"])
    return 0


def start(options: argparse.Namespace) -> int:
    """Run a flow by hand."""
    inputs = json.dumps(inputs_of(options.input))
    item = ask(settings_from(options), "POST", "executions", flow=options.flow, inputs=inputs)
    say_json(item) if options.json else say(item["id"])
    return 0


def resume(options: argparse.Namespace) -> int:
    """Let a paused execution go on."""
    inputs = json.dumps(inputs_of(options.input))
    item = ask(settings_from(options), "POST", f"executions/{options.id}/resume", inputs=inputs)
    say_json(item) if options.json else note(f"execution {item['id']} goes on")
    return 0


def inputs_of(given: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` inputs. Raises `ConfigError`."""
    inputs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError([Problem("--input", 0, 0, f"should be NAME=VALUE, got '{text}'")])
        inputs[name] = value
    return inputs


def kill(options: argparse.Namespace) -> int:
    """End an execution."""
    item = ask(settings_from(options), "POST", f"executions/{options.id}/kill")
    say_json(item) if options.json else note(f"execution {item['id']} is being killed")
    return 0
