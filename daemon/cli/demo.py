"""``tidewaiter demo``: an S3 server, a real daemon, a few messy files, and what becomes of them."""

import argparse
import asyncio
import os
import shlex
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.cli.ask import ask
from tidewaiter.daemon.cli.executions import save
from tidewaiter.daemon.cli.terminal import coloured, duration, log_line, note, printable, say, size, table
from tidewaiter.daemon.database import DatabaseLockedError
from tidewaiter.daemon.database.sqlite import database_at
from tidewaiter.daemon.demo.process import Daemon, serving
from tidewaiter.daemon.demo.seaweedfs import Store, seaweedfs
from tidewaiter.daemon.demo.workspace import ARCHIVE, BUCKET, FLOW, PREFIX, Workspace
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.views import stored_files
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket

_PATIENCE_SECONDS = 60
_LOOK_SECONDS = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GOOD = frozenset({"SUCCESS", "WARNING"})
_FOREIGN = ("AWS_", "TIDEWAITER_")
_KEPT = "settings and flow, the messy files, the git repository, the daemon's state and log, outputs"
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})


def run(options: argparse.Namespace) -> int:
    """Show the whole of it; gives 1 if an execution failed, 130 if a signal ended the show."""
    _forget_configuration(os.environ)
    try:
        return asyncio.run(_until_signalled(options.keep))
    except asyncio.CancelledError:
        note("stopped; nothing is left running")
        return 130


def _forget_configuration(environment: MutableMapping[str, str]) -> None:
    """Take away what would lead the demo's own requests elsewhere: the user's profiles, endpoints and proxies."""
    for name in list(environment):
        if name.startswith(_FOREIGN) or name.upper() in _PROXIES:
            del environment[name]
    environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


async def _until_signalled(keep: Path | None) -> int:
    """Run the demo; the first signal cancels it, those that come while it cleans up change nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _cancel_once, task)
    with _folder(keep) as folder:
        return await _Show(Workspace(folder), kept=keep is not None).carry_out()


def _cancel_once(task: asyncio.Task[Any] | None) -> None:
    if task is not None and not task.cancelling():
        task.cancel()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give the folder to work in: the one to keep, which must not hold anything yet, or one that is removed."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="tidewaiter-demo-") as folder:
            yield Path(folder)
        return
    keep = keep.absolute()
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if next(keep.iterdir(), None):
            raise TidewaiterError(f"the folder {keep} is not empty", "give --keep a new folder")
    except OSError as error:
        raise TidewaiterError(f"cannot work in {keep}: {error.strerror}", "give --keep another folder") from error
    yield keep


class _Show:
    """One run of the demo, told as it goes."""

    def __init__(self, workspace: Workspace, *, kept: bool) -> None:
        self._workspace = workspace
        self._kept = kept
        self._began = time.monotonic()
        self._told: dict[str, int] = {}

    async def carry_out(self) -> int:
        """
        Play every act and give the exit code.

        Raises:
            TidewaiterError: something is missing, or does not start, or takes too long.
        """
        self._workspace.prepare()
        async with _store() as (store, bucket):
            self._tell("store", f"SeaweedFS answers at {store.endpoint_url}, bucket {BUCKET}")
            executions = await self._act(store, bucket)
            archived, left = await _keys(bucket, ARCHIVE), await _keys(bucket, PREFIX)
        self._show_outputs(executions)
        _list(f"the archive, s3://{BUCKET}/{ARCHIVE}: nothing was overwritten", archived)
        _list(f"what is left of s3://{BUCKET}/{PREFIX}: the marker of the folder, which is no file", left)
        await self._show_journal()
        self._say_goodbye()
        succeeded = all(execution["state"] in _GOOD for execution in executions)
        return 0 if succeeded and left == [PREFIX] else 1

    async def _act(self, store: Store, bucket: Bucket) -> list[dict[str, Any]]:
        """Run the daemon, drop the files, see them through; gives the executions, oldest first."""
        try:
            with serving(self._workspace, store) as daemon:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._ready(daemon)
                    executions = await self._watch(daemon, bucket)
                await self._note_failures(executions[::-1])
                details = [await self._ask(f"executions/{item['id']}") for item in reversed(executions)]
                self._tell("stopped", f"the daemon, with exit code {daemon.stop()}")
        except TimeoutError as error:
            self._note_last_words()
            raise TidewaiterError(
                f"not every file was processed within {_PATIENCE_SECONDS} seconds", "the daemon's last words are above"
            ) from error
        except TidewaiterError:
            self._note_last_words()
            raise
        return details

    async def _ready(self, daemon: Daemon) -> None:
        while not await self._answers():
            daemon.check()
            await asyncio.sleep(_LOOK_SECONDS)
        self._tell("ready", f"the daemon watches s3://{BUCKET}/{PREFIX} for the flow {FLOW}")

    async def _answers(self) -> bool:
        """Whether the daemon answers. Asked before its socket is there, the journal would be opened in its place."""
        if not (self._workspace.settings.state_dir / "control.sock").exists():
            return False
        try:
            return bool((await self._ask("status"))["daemon"])
        except DatabaseLockedError:
            return False

    async def _ask(self, path: str) -> Any:
        return await asyncio.to_thread(ask, self._workspace.settings, "GET", path)

    async def _watch(self, daemon: Daemon, bucket: Bucket) -> list[dict[str, Any]]:
        """Drop one file after the other, each when the one before has been claimed; see all of them to their end."""
        waiting = list(self._workspace.arrivals())
        expected = len(waiting)
        while True:
            daemon.check()
            executions: list[dict[str, Any]] = await self._ask("executions")
            for execution in reversed(executions):
                self._tell_steps(execution)
            if len(executions) == expected and all(execution["endedAt"] for execution in executions):
                return executions
            if waiting and len(executions) + len(waiting) == expected:
                await self._drop(bucket, *waiting.pop(0))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _drop(self, bucket: Bucket, key: str, file: Path) -> None:
        await bucket.upload(file, BUCKET, key)
        self._tell("dropped", f"{key} ({_size(file)})")

    def _tell_steps(self, execution: Mapping[str, Any]) -> None:
        """Tell the steps of an execution that have not been told yet."""
        steps = _steps(execution)
        for step, what in steps[self._told.get(execution["id"], 0) :]:
            self._tell(step, what)
        self._told[execution["id"]] = len(steps)

    def _tell(self, step: str, what: str) -> None:
        say(f"{time.monotonic() - self._began:5.1f}s  {coloured(step.ljust(8))}  {printable(what)}")

    async def _note_failures(self, executions: Sequence[Mapping[str, Any]]) -> None:
        """Show the log of every execution that did not succeed."""
        for execution in executions:
            if execution["state"] not in _GOOD:
                for line in await self._ask(f"executions/{execution['id']}/logs"):
                    note(log_line(line))

    def _note_last_words(self) -> None:
        for line in self._workspace.last_words():
            note(printable(line))

    def _show_outputs(self, executions: Sequence[Mapping[str, Any]]) -> None:
        _heading("outputs, one folder for each execution")
        for execution in executions:
            say(f"  {printable(_key(execution))}")
            folder = self._workspace.outputs / execution["id"][:8]
            files = stored_files(execution["taskRuns"], execution["outputs"])
            save(self._workspace.settings, files, folder)
            for name in files:
                say(f"    {printable(str(folder / name))}  {_size(folder / name)}")
        first = self._workspace.outputs / executions[0]["id"][:8] / "output"
        _preview(f"before: {_key(executions[0])}", first / "data.csv")
        _preview("after: clean_dataset.csv", first / "clean_dataset.csv")

    async def _show_journal(self) -> None:
        """Read what the daemon, which has ended, left in its journal."""
        _heading("the journal")
        async with database_at(self._workspace.settings.state_dir / "tidewaiter.db") as database:
            journal = await Journal.over(database)
            rows = [
                (item.key, item.state, item.dest_key or "-", run.id[:8], run.state)
                for run in reversed(await journal.executions.newest())
                for item in await journal.detections.batch(run.batch_id)
            ]
        table(("OBJECT", "DETECTION", "MOVED TO", "EXECUTION", "STATE"), rows)

    def _say_goodbye(self) -> None:
        flow, file, config = "FLOW.yaml", "FILE", ""
        if self._kept:
            flow = shlex.quote(str(self._workspace.flows / FLOW))
            file = shlex.quote(str(next(self._workspace.arrivals())[1]))
            config = f" --config {shlex.quote(str(self._workspace.config))}"
        _heading("next")
        say(f"  tidewaiter validate {flow}")
        say(f"  tidewaiter test {flow} --object {file}{config}")
        say("  tidewaiter run --flows DIR --state-dir DIR")
        root = self._workspace.root
        kept = f"kept in {root}: {_KEPT}" if self._kept else f"{root} is removed; 'tidewaiter demo --keep DIR' keeps it"
        say(f"\ndone in {time.monotonic() - self._began:.1f}s, nothing is left running; {printable(kept)}")


def _heading(text: str) -> None:
    say(f"\n{printable(text)}")


def _list(title: str, keys: Sequence[str]) -> None:
    _heading(title)
    for key in keys:
        say(f"  {printable(key)}")


def _size(file: Path) -> str:
    return size(file.stat().st_size)


def _preview(title: str, file: Path) -> None:
    """Show the first three lines of a file, if there is one."""
    if not file.exists():
        return
    _heading(f"  {title}")
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines()[:3]:
        say(f"    {printable(line)}")


@asynccontextmanager
async def _store() -> AsyncIterator[tuple[Store, Bucket]]:
    """Run an S3 server whose data is thrown away, with the bucket and its empty folder in it."""
    with tempfile.TemporaryDirectory(prefix="tidewaiter-demo-s3-") as name, seaweedfs(Path(name)) as store:
        marker = Path(name) / "marker"
        marker.touch()
        async with Clients({}) as clients, clients(store.connection, BUCKET) as bucket:
            await bucket.upload(marker, BUCKET, PREFIX, overwrite=True)
            yield store, bucket


async def _keys(bucket: Bucket, prefix: str) -> list[str]:
    return [item.key async for page in bucket.list(prefix) for item in page.objects]


def _steps(execution: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    Give the steps an execution has taken so far. It appears when its object is in custody, and starts when the object
    is archived.
    """
    key = _key(execution)
    steps = [("claimed", key)]
    if execution["startedAt"]:
        steps.append(("archived", f"{key} -> {execution['trigger']['objects'][0]['movedTo']['key']}"))
    if execution["endedAt"]:
        took = duration(execution["startedAt"], execution["endedAt"])
        steps.append(
            (execution["state"], f"{key} in {took}" + (f": {execution['error']}" if execution["error"] else ""))
        )
    return steps


def _key(execution: Mapping[str, Any]) -> str:
    return str(execution["trigger"]["objects"][0]["key"])
