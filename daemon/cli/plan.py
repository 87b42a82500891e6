"""``tidewaiter plan`` and ``tidewaiter explain``."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem, TidewaiterError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.app import make_host
from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.cli.terminal import ago, note, printable, say, say_json, size
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.flows import bucket_triggers, load_flows
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.preview import Preview
from tidewaiter.daemon.probes import Probes
from tidewaiter.daemon.records import TriggerKey
from tidewaiter.daemon.storage import Storage, witness_of
from tidewaiter.daemon.watch import Port, Watch
from tidewaiter.triggers.aws import Clients

_SHOWN = 20
_JOURNAL = "tidewaiter.db"


def plan(options: argparse.Namespace) -> int:
    """Show what the next poll would do; 1 if a trigger could not look."""
    settings = settings_from(options)
    if _daemon_runs(settings):
        names = [options.trigger] if options.trigger else [item["name"] for item in ask(settings, "GET", "triggers")]
        plans = [_asked(settings, name) for name in names]
    else:
        plans = asyncio.run(_plans(settings, options.trigger))
    if options.json:
        say_json(plans)
    else:
        for item in plans:
            _report(item)
    if not plans:
        note("no triggers: no flow with a trigger is there")
    return int(any("error" in item for item in plans))


def explain(options: argparse.Namespace) -> int:
    """Say why an object fires (0) or does not (1)."""
    settings = settings_from(options)
    if _daemon_runs(settings):
        answer = ask(settings, "GET", f"triggers/{options.trigger}/explain", key=options.key)
    else:
        answer = asyncio.run(_explained(settings, options.trigger, options.key))
    if options.json:
        say_json(answer)
    else:
        _tell(answer)
    return 0 if answer["fires"] else 1


def _daemon_runs(settings: Settings) -> bool:
    try:
        return bool(ask(settings, "GET", "status")["daemon"])
    except ConfigError:
        return False


def _asked(settings: Settings, name: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = ask(settings, "GET", f"triggers/{name}/plan")
    except TidewaiterError as error:
        return _failed(name, error)
    return answer


def _failed(name: str, error: TidewaiterError) -> dict[str, Any]:
    return {"trigger": name, "error": error.message, "hint": error.hint}


async def _plans(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    async with _preview(settings) as preview:
        watches = [preview.watch(name)] if name else list(preview.watches().values())
        return [await _planned(preview, watch) for watch in watches]


async def _planned(preview: Preview, watch: Watch) -> dict[str, Any]:
    try:
        return await preview.plan(watch)
    except TidewaiterError as error:
        return _failed(str(watch.key), error)


async def _explained(settings: Settings, name: str, key: str) -> dict[str, Any]:
    async with _preview(settings) as preview:
        return await preview.explain(preview.watch(name), key)


@asynccontextmanager
async def _preview(settings: Settings) -> AsyncIterator[Preview]:
    """Make previews of the flows on disk, with the journal that the daemon left, or an empty one if there is none."""
    if not settings.flows:
        raise ConfigError(
            [Problem("--flows", 0, 0, "no daemon runs here, and no folder of flows is given", "--flows DIR")]
        )
    environment = dict(os.environ)
    host, expressions = make_host(settings, environment), Expressions()
    watches = dict(_watches(settings, expressions))
    with _state(settings) as state:
        async with (
            database_at(state / _JOURNAL, witness_of(state / "storage")) as database,
            Clients(environment) as connect,
        ):
            port = Port(
                journal=await Journal.over(database),
                storage=Storage(state / "storage"),
                expressions=expressions,
                host=host,
                connect=connect,
                probes=Probes(settings.scratch_prefix),
                transfers=settings.limits.transfers,
                retry=settings.retry,
                crashed=lambda _error: None,
            )
            yield Preview(port, lambda: watches)


def _watches(settings: Settings, expressions: Expressions) -> Iterator[tuple[TriggerKey, Watch]]:
    flows = load_flows(settings.flows, expressions)
    for problem in flows.problems:
        note(str(problem))
    for file in flows.flows.values():
        flow = file.flow
        for trigger in bucket_triggers(flow):
            if not (flow.disabled or trigger.disabled):
                key = TriggerKey(flow.namespace, flow.id, trigger.id)
                yield key, Watch(key, flow, flow.revision or 1, trigger)


@contextmanager
def _state(settings: Settings) -> Iterator[Path]:
    """Give the state directory; before the first run of a daemon there is none, and looking must not make one."""
    if (settings.state_dir / _JOURNAL).exists():
        yield settings.state_dir
        return
    with TemporaryDirectory(prefix="tidewaiter-plan-") as folder:
        yield Path(folder)


def _report(item: dict[str, Any]) -> None:
    if "error" in item:
        say(f"{item['trigger']}: cannot look: {printable(item['error'])}")
        if item["hint"]:
            say(f"  hint: {printable(item['hint'])}")
        return
    say(f"{item['trigger']}: s3://{item['bucket']}/{printable(item['prefix'])} ({item['action']})")
    lines = [*_taken(item), *_staying(item)]
    for line in lines or ["  nothing new"]:
        say(line)


def _taken(item: dict[str, Any]) -> Iterator[str]:
    """Tell what is claimed, execution by execution, and what is parked."""
    if item["obstacle"]:
        yield f"  nothing is claimed: {item['obstacle']}"
    batches = [] if item["obstacle"] else item["batches"]
    for number, batch in enumerate(batches[:_SHOWN], start=1):
        yield f"  execution {number}:"
        yield from _some(_claimed(claim) for claim in batch)
    if len(batches) > _SHOWN:
        yield f"  and {len(batches) - _SHOWN} executions more"
    if item["refused"]:
        yield "  refused, to be parked:"
        yield from _some(f"{printable(one['key'])}: {printable(one['reason'])}" for one in item["refused"])


def _staying(item: dict[str, Any]) -> Iterator[str]:
    """Tell what stays where it is, and why."""
    backlog = item["backlog"]
    if item["held"]:
        yield "  waits:"
        yield from _some(f"{printable(one['key'])}: {printable(one['reason'])}" for one in item["held"])
    if backlog["objects"]:
        yield f"  left for later polls: {_objects(backlog['objects'])}, the oldest changed {ago(backlog['oldest'])}"
    if item["notMeant"]:
        yield f"  not meant by its rules: {_objects(item['notMeant'])}"
    if item["trouble"]:
        yield f"  trouble: {printable(item['trouble'])}"


def _claimed(claim: dict[str, Any]) -> str:
    where = claim["destination"]
    goes = f" -> s3://{where['bucket']}/{printable(where['key'])}" if where else ""
    kind = "marker" if claim["marker"] else claim["changeType"].lower()
    return f"{printable(claim['key'])} ({size(claim['size'])}, {kind}){goes}"


def _objects(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"


def _some(lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    yield from (f"    {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"    and {len(lines) - _SHOWN} more"


def _tell(answer: dict[str, Any]) -> None:
    fires = "fires" if answer["fires"] else "does not fire"
    rule = f" ({answer['rule']})" if answer["rule"] else ""
    say(f"s3://{answer['bucket']}/{printable(answer['key'])} {fires}: {printable(answer['answer'])}{rule}")
    for past in answer["history"]:
        execution = f", execution {past['executionId']}" if past["executionId"] else ""
        reason = f": {printable(past['error'])}" if past["error"] else ""
        say(f"  {past['updatedAt']} {past['state']}{reason}{execution}")
