"""One run of the daemon to be killed: its objects, its flow, and everything there is to see of it afterwards."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acceptance.driver import processes_under, user_environment
from acceptance.flows import flow, shell, trigger
from acceptance.objects import Objects
from reliability.crash_audit import PROBE, Evidence, Journal, parse_effects
from reliability.crash_points import Point, strace
from reliability.forkserver import Forked, ForkServer, Start

# Every action there is, with what it needs besides its name; %s is the folder of the run. The last one acts after the
# execution, by its outcome.
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    "MOVE": {"moveTo": {"key": "%s/archive/"}},
    "DELETE": {"moveTo": None},
    "NONE": {"moveTo": None},
    "TAG": {"moveTo": None, "tags": {"taken": "yes"}},
    "onSuccess": {"action": "NONE", "moveTo": None, "onSuccess": {"moveTo": {"key": "%s/archive/"}}},
}
# Two batches; the names of two objects are the same below the archive, and one body comes in several pieces.
OBJECTS = {"a.csv": b"a" * 500, "b.csv": b"b" * 600_000, "sub/a.csv": b"c" * 500}
BATCH = 2
TASKS = ("first", "last")
MOMENTS = (("first", "begins"), ("first", "ends"), ("last", "begins"), ("last", "ends"))
_SECONDS = 120.0
_NUMBERED = "to_entries | map({key: (.key | tostring), value: .value.uri}) | from_entries"
_INPUTS = f"{{{{ trigger.objects | jq('{_NUMBERED}') | first | json }}}}"
_KEYS = "{{ trigger.objects | jq('map(.key) | join(\" \")') | first }}"


@dataclass(slots=True)
class Scene:
    """
    A prefix of the bucket, a flow with two tasks, and a state directory, all of its own below *folder*.

    *broken* names a wrong order that the daemon follows, *executed* says that it is started by ``execve`` of a fresh
    interpreter instead of by `ForkServer`. *contents* are the objects by their names below the prefix; *endpoint_url*
    is where the daemon reaches the store, if not directly.
    """

    folder: Path
    objects: Objects
    server: ForkServer
    action: str
    broken: str | None = None
    executed: bool = False
    contents: Mapping[str, bytes] = field(default_factory=lambda: OBJECTS)
    endpoint_url: str | None = None
    kills: int = 0
    before: Journal = field(default_factory=Journal)

    @property
    def name(self) -> str:
        """The folder of the run in the bucket."""
        return self.folder.name

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    async def prepare(self) -> None:
        """Upload the objects and write the flow."""
        (self.folder / "flows").mkdir(parents=True)
        (self.folder / "flows" / "flow.yaml").write_text(json.dumps(self._flow()))
        for key, content in self.contents.items():
            await self.objects.put(f"{self.name}/raw/{key}", content)

    def _flow(self) -> dict[str, Any]:
        needed = {name: _below(self.name, value) for name, value in ACTIONS[self.action].items()}
        watched = trigger(
            self.objects.bucket,
            **{"prefix": f"{self.name}/raw/", "action": self.action, "interval": "PT1H", "maxKeys": BATCH} | needed,
        )
        return flow(*(self._task(name) for name in TASKS), triggers=[watched])

    def _task(self, name: str) -> dict[str, Any]:
        """Write a line into the ledger for each object, and be killed with the daemon if that is asked for."""
        return shell(
            name,
            _death(name, "begins"),
            "sha256sum [0-9] > sums; set -- $KEYS",
            f'while read -r sum _; do echo "{name} $EXECUTION_ID $ATTEMPT $1 $sum"; shift; done < sums >> $HERE/ledger',
            _death(name, "ends"),
            inputFiles=_INPUTS,
            env={"KEYS": _KEYS, "HERE": str(self.folder)},
        )

    async def start(self, kill_at: Point | None = None, *, traced: bool = False, after: float | None = None) -> int:
        """Run the daemon to its end, or to the point or moment where it is killed; gives its exit code."""
        tracer = strace(self.trace, kill_at) if traced or kill_at else []
        code = await (self._execute(tracer) if self.executed else self._fork(tracer, after))
        if code == -signal.SIGKILL:
            await self._note_kill()
        return code

    async def launch(self) -> Forked:
        """Start the daemon and leave it running."""
        return await self._launch(traced=False)

    async def kill(self, daemon: Forked) -> None:
        """Kill what was launched, now."""
        await daemon.killed(0)
        await self._note_kill()

    async def _note_kill(self) -> None:
        self.kills += 1
        self.before = await asyncio.to_thread(read_journal, self.state)

    async def _launch(self, *, traced: bool) -> Forked:
        start = Start(self._arguments, self._environment, str(self.folder), str(self.log), traced, self.broken)
        return await self.server.start(start)

    async def _fork(self, tracer: Sequence[str], after: float | None) -> int:
        """Give the exit code; a daemon that does not end is stopped, which is told by the code of that."""
        daemon = await self._launch(traced=bool(tracer))
        process = await asyncio.create_subprocess_exec(*tracer, "-p", str(daemon.pid)) if tracer else None
        code = await (daemon.ended(_SECONDS) if after is None else daemon.killed(after))
        if process:
            await _gone(process)
        return code

    async def _execute(self, tracer: Sequence[str]) -> int:
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(*tracer, sys.executable, "-m", "tidewaiter.daemon", *self._arguments),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            return await asyncio.wait_for(process.wait(), _SECONDS)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGABRT)
            return await process.wait()

    @property
    def _arguments(self) -> list[str]:
        return ["run", "--once", "--flows", str(self.folder / "flows"), "--state-dir", str(self.state)]

    @property
    def _environment(self) -> dict[str, str]:
        store = self.objects.store
        endpoint_url = self.endpoint_url or store.endpoint_url
        environment = user_environment(self.folder, endpoint_url, store.access_key_id, store.secret_key_id)
        return {**environment, "TIDEWAITER_RETRY__INITIAL": "PT0.1S", "TIDEWAITER_RETRY__MAXIMUM": "PT0.5S"}

    def kill_inside(self, moment: tuple[str, str]) -> None:
        """Have the first run of a task kill the daemon when it ``begins``, or ``ends`` with all its effects."""
        (self.folder / "kill-{}-{}".format(*moment)).touch()

    async def evidence(self, code: int) -> Evidence:
        """Look at everything; *code* is the exit code of the last start."""
        found = await self._found()
        return Evidence(
            action=self.action,
            uploaded={f"{self.name}/raw/{key}": digest(content) for key, content in self.contents.items()},
            bucket=_inside(found, f"{self.name}/raw/"),
            archive=_inside(found, f"{self.name}/archive/"),
            untagged=[key for key in found if not await self._tagged(key)],
            before=self.before,
            journal=await asyncio.to_thread(read_journal, self.state),
            effects=parse_effects(self._ledger()),
            files=_files(self.state / "storage"),
            work=[path.name for path in _entries(self.state / "work")],
            running=len(processes_under(self.folder)),
            code=code,
            kills=self.kills,
        )

    async def _found(self) -> dict[str, str]:
        # A kill while the store is probed may leave a probe object behind; triggers pass over those.
        keys = [key for key in await self.objects.keys(f"{self.name}/") if PROBE not in key]
        bodies = await asyncio.gather(*(self.objects.get(key) for key in keys))
        return {key: digest(body) for key, body in zip(keys, bodies, strict=True)}

    async def _tagged(self, key: str) -> bool:
        """Whether the object has the tags that the action gives it, if it gives any."""
        wanted = ACTIONS[self.action].get("tags", {})
        if not wanted:
            return True
        answer = await self.objects.client.get_object_tagging(Bucket=self.objects.bucket, Key=key)
        return wanted.items() <= {item["Key"]: item["Value"] for item in answer["TagSet"]}.items()

    def _ledger(self) -> str:
        ledger = self.folder / "ledger"
        return ledger.read_text() if ledger.exists() else ""

    def last_words(self) -> str:
        """Give the end of the daemon's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:]) if self.log.exists() else ""

    def remove(self) -> None:
        """Free the disk."""
        shutil.rmtree(self.folder)


def _death(task: str, moment: str) -> str:
    """Kill the daemon, whose child this task is, if that is asked for; once."""
    mark = f"$HERE/kill-{task}-{moment}"
    return f"if [ -e {mark} ]; then rm {mark}; kill -9 $PPID; sleep 60; fi"


def _below(name: str, value: Any) -> Any:
    return json.loads(json.dumps(value).replace("%s", name))


async def _gone(process: asyncio.subprocess.Process) -> None:
    """See the tracer to its end; it may still hold the threads of a daemon that was given up."""
    with suppress(ProcessLookupError, TimeoutError):
        await asyncio.wait_for(process.wait(), 5)
        return
    process.kill()
    await process.wait()


def read_journal(state: Path) -> Journal:
    """Read a copy of the journal of a daemon that does not run: opening the original would tidy it up."""
    if not (state / "tidewaiter.db").exists():
        return Journal()
    copy = state.with_name(f"copy-{time.monotonic_ns()}")
    copy.mkdir()
    for file in state.glob("tidewaiter.db*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / "tidewaiter.db")) as connection:
        connection.row_factory = sqlite3.Row
        found = _rows(connection)
    shutil.rmtree(copy)
    return found


def _rows(connection: sqlite3.Connection) -> Journal:
    try:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            return Journal(integrity=integrity)
        tables = (
            [dict(row) for row in connection.execute(f"SELECT * FROM {t}")]
            for t in ("detection", "execution", "task_run")
        )
        return Journal(*tables, integrity=integrity)
    except sqlite3.Error as error:
        return Journal(integrity=str(error))


def digest(content: bytes) -> str:
    """Name a content as the ledger does."""
    return hashlib.sha256(content).hexdigest()


def _inside(contents: Mapping[str, str], folder: str) -> dict[str, str]:
    return {key: digest for key, digest in contents.items() if key.startswith(folder)}


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []
