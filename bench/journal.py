"""How often the journal waits for the disk until one object alone is in custody."""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.daemon import Daemon, serving
from bench.figure import Figure
from bench.flows import flow, shell, trigger
from bench.stage import BUCKET, Stage

_PREFIX = "journal/"
_QUIET_SECONDS = 1.5
_NAME = "fsynced commits of one object alone"
_SYNC = re.compile(r"(?:fsync|fdatasync)\(\d+<(?P<path>[^>]*)>")
_REQUEST = re.compile(r'(?:sendto|sendmsg)\(.*?"(?P<verb>[A-Z]+) /(?P<path>[^ "]*)')


def measure(stage: Stage) -> list[Figure]:
    """
    Trace the fsync calls of a daemon while an object is taken into custody. The execution of an earlier object is
    running meanwhile and keeps the new one's from starting, so that every commit is custody's.
    """
    if shutil.which("strace") is None:
        return [Figure(_NAME, "commits", (), budget=4.0, note="there is no strace")]
    stage.progress("journal, one object under strace")
    folder = stage.fresh("journal")
    trace = folder / "trace"
    daemon = Daemon(
        stage,
        folder,
        [flow("journal", trigger(BUCKET, _PREFIX), shell("busy", "sleep 300"))],
        ["--grace-period", "PT0S"],
        under=["strace", "-f", "-y", "-s", "200", "-e", "trace=fsync,fdatasync,sendto,sendmsg", "-o", str(trace)],
    )
    with serving(daemon):
        _put(stage, folder, "first")
        daemon.until(lambda: _running(daemon), "start an execution", look_seconds=0.2)
        time.sleep(_QUIET_SECONDS)
        before = trace.stat().st_size
        _put(stage, folder, "second")
        daemon.until(lambda: _done(daemon) == 2, "take the object into custody", look_seconds=0.2)
        time.sleep(_QUIET_SECONDS)
        lines = trace.read_text()[before:].splitlines()
        _end(daemon)
    commits = list(_commits(lines))
    other = sum(1 for line in lines if _SYNC.search(line)) - len(commits)
    note = f"after {', '.join(commits)}; and {other} fsyncs of files and folders in storage"
    return [Figure(_NAME, "commits", (float(len(commits)),), budget=4.0, note=note)]


def _put(stage: Stage, folder: Path, name: str) -> None:
    source = folder / name
    source.write_text(name)
    stage.prepare(folder, "cp", str(source), f"s3://{BUCKET}/{_PREFIX}{name}")


def _running(daemon: Daemon) -> bool:
    return any(item["state"] == "RUNNING" for item in daemon.executions())


def _done(daemon: Daemon) -> int:
    detections = daemon.ask("triggers")[0]["detections"]
    return int(detections.get("DONE", 0))


def _end(daemon: Daemon) -> None:
    """Kill the executions, and with them the programs they run: nothing may outlive the daemon."""
    for item in daemon.executions():
        daemon.ask(f"executions/{item['id']}/kill", "POST")
    daemon.until(lambda: not _live(daemon), "kill its executions", look_seconds=0.1)


def _live(daemon: Daemon) -> bool:
    return any(item["state"] in {"CREATED", "RUNNING"} for item in daemon.executions())


def _commits(lines: Sequence[str]) -> Iterator[str]:
    """Name each commit of the journal by the last request to the store before it."""
    request = "nothing"
    for line in lines:
        if sent := _REQUEST.search(line):
            request = _named(sent["verb"], sent["path"])
        elif (synced := _SYNC.search(line)) and Path(synced["path"]).name.startswith("tidewaiter.db"):
            yield request


def _named(verb: str, path: str) -> str:
    """Give a request of custody the name of its step."""
    steps = {"GET": "LIST" if "list-type" in path else "GET", "PUT": "COPY"}
    return steps.get(verb, verb)
