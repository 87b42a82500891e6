"""The tasks that hold other tasks, carried out (Kestra's flowable tasks)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import SyncError, TaskError, TidewaiterError
from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.flow import TaskSpec
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.pauses import pause
from tidewaiter.daemon.records import TaskRun, parse_timestamp, timestamp
from tidewaiter.daemon.situation import Situation
from tidewaiter.daemon.subflows import abandon_children, run_for_each_item, run_subflow
from tidewaiter.daemon.tasklog import TaskLog
from tidewaiter.daemon.taskruns import TaskRuns, Terms, make_folders, remove, within
from tidewaiter.daemon.together import STOPPED, Work, combined, together
from tidewaiter.tasks import tree
from tidewaiter.tasks.context import Result
from tidewaiter.tasks.directory import enter, leave

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Visit:
    """One attempt at a task that holds others: where it is itself (*outside*), and where the tasks in it are."""

    run: TaskRun
    outside: Branch
    inside: Branch
    log: TaskLog


class ControlFlow:
    """
    Walks the tree of tasks of one execution.

    What a task decides — which branch, which values — is recorded before anything follows from it, so that an execution
    that goes on after a crash goes on the same way.
    """

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._tasks = TaskRuns(situation, self._walk)
        self._walks: Mapping[type[TaskSpec], Callable[[Any, Visit], Awaitable[Result]]] = {
            tree.Sequential: self._in_order,
            tree.AllowFailure: self._in_order,
            tree.Parallel: self._parallel,
            tree.If: self._if,
            tree.Switch: self._switch,
            tree.ForEach: self._for_each,
            tree.EachSequential: self._for_each,
            tree.EachParallel: self._for_each,
            tree.Loop: self._loop,
            tree.LoopUntil: self._loop_until,
            tree.Dag: self._dag,
            tree.Pause: self._pause,
            tree.Subflow: self._subflow,
            tree.ForEachItem: self._for_each_item,
            tree.WorkingDirectory: self._working_directory,
        }

    async def sequence(self, tasks: Sequence[TaskSpec], branch: Branch) -> Result:
        """Run *tasks* one after another until one fails; the worst state of any is the state of all."""
        results: list[tuple[str, Result]] = []
        for task in tasks:
            if task.disabled:
                continue
            results.append((f"task '{task.id}'", await self._tasks.carry_out(task, branch)))
            if results[-1][1].state in STOPPED:
                break
        return combined(results)

    async def _walk(self, task: TaskSpec, run: TaskRun, branch: Branch, terms: Terms) -> Result:
        """Do *task*; then its *errors* if something in it failed, and its *finally* in any case."""
        visit = Visit(run, branch, branch.inside(task, run), terms.log)
        try:
            result = await within(terms.limit, self._body(task, visit))
        except (DatabaseError, SyncError):
            raise
        except TidewaiterError as error:
            await abandon_children(self._situation, run.task_path)
            await self._followed(task, Result("FAILED", error=error.message), visit.inside)
            raise
        await abandon_children(self._situation, run.task_path)
        result = await self._followed(task, result, visit.inside)
        if isinstance(task, tree.AllowFailure) and result.state == "FAILED":
            result = replace(result, state="WARNING")
        return result

    async def _body(self, task: TaskSpec, visit: Visit) -> Result:
        return await self._walks[type(task)](task, visit)

    async def _followed(self, task: TaskSpec, result: Result, inside: Branch) -> Result:
        """Run *errors* and *finally* of a task that gave *result*."""
        errors, last = (task.errors, task.finally_) if isinstance(task, tree.FlowableSpec) else ((), ())
        if result.state == "FAILED" and errors:
            await self.sequence(errors, inside)
        return _after(result, await self.sequence(last, inside)) if last else result

    async def _subflow(self, task: tree.Subflow, visit: Visit) -> Result:
        return await run_subflow(self._situation, task, visit.run, visit.outside)

    async def _in_order(self, task: Any, visit: Visit) -> Result:
        return await self.sequence(task.tasks, visit.inside)

    async def _parallel(self, task: tree.Parallel, visit: Visit) -> Result:
        return await together(self._each_alone(task.tasks, visit.inside), task.concurrent)

    def _each_alone(self, tasks: Sequence[TaskSpec], branch: Branch) -> list[Work]:
        run, begun = self._tasks.carry_out, self._situation.progress.begun
        return [
            Work(f"task '{task.id}'", partial(run, task, branch), begun(f"{branch.path}{task.id}"))
            for task in tasks
            if not task.disabled
        ]

    async def _if(self, task: tree.If, visit: Visit) -> Result:
        async def decide() -> dict[str, Any]:
            return {"condition": truthy(self._rendered(task, visit, "condition").condition)}

        condition = (await self._decided(visit.run, decide))["condition"]
        result = await self.sequence(task.then if condition else task.else_, visit.inside)
        return replace(result, outputs={"evaluationResult": condition})

    async def _switch(self, task: tree.Switch, visit: Visit) -> Result:
        async def decide() -> dict[str, Any]:
            return {"value": self._rendered(task, visit, "value").value}

        value = (await self._decided(visit.run, decide))["value"]
        found = value in task.cases
        if not found and not task.defaults:
            return Result("FAILED", error=f"there is no case '{value}' and there are no 'defaults'")
        result = await self.sequence(task.cases[value] if found else task.defaults, visit.inside)
        return replace(result, outputs={"value": value, "defaults": not found})

    async def _for_each(self, task: Any, visit: Visit) -> Result:
        """Each value's tasks in order; of an `EachParallel` all at once."""
        name = "values" if isinstance(task, tree.ForEach) else "value"

        async def decide() -> dict[str, Any]:
            return {"values": listed(getattr(self._rendered(task, visit, name), name), name)}

        values = (await self._decided(visit.run, decide))["values"]
        turns = [visit.inside.turn(number, value) for number, value in enumerate(values)]
        if isinstance(task, tree.EachParallel):
            works = [work for turn in turns for work in self._each_alone(task.tasks, turn)]
            return await together(works, task.concurrent)
        limit = task.concurrency_limit if isinstance(task, tree.ForEach) else 1
        in_order = [
            Work(f"value '{turn.value}'", partial(self.sequence, task.tasks, turn), self._begun(turn)) for turn in turns
        ]
        return await together(in_order, limit)

    def _begun(self, turn: Branch) -> bool:
        """Whether an iteration had begun before an interruption."""
        return self._situation.progress.begun(turn.path.removesuffix("/"))

    async def _loop(self, task: tree.Loop, visit: Visit) -> Result:
        async def decide() -> dict[str, Any]:
            return {"items": await self._items(self._rendered(task, visit, "values").values, visit.run)}

        items = (await self._decided(visit.run, decide))["items"]
        given: dict[int, dict[str, Any]] = {}

        async def turn(number: int, item: Mapping[str, Any]) -> Result:
            inner = self._isolated(visit.inside, number, item)
            result = await self.sequence(task.tasks, inner)
            if result.state not in STOPPED:
                scope = self._situation.scope(task, visit.run, inner)
                given[number] = {o.id: self._situation.concrete(o, scope).value for o in task.outputs}
            return result

        works = [
            Work(f"item {number}", partial(turn, number, item), self._begun(visit.inside.turn(number)))
            for number, item in enumerate(items)
        ]
        result = await together(works, task.concurrency_limit)
        return replace(result, outputs={"outputs": [given[number] for number in sorted(given)]} if task.outputs else {})

    def _isolated(self, inside: Branch, number: int, item: Mapping[str, Any]) -> Branch:
        """Give the branch of one iteration whose outputs are seen in it only, those before an interruption included."""
        turn = inside.turn(number)
        before = self._situation.progress.inner.get(turn.path.removesuffix("/"), {})
        return replace(turn, item=item, local={**(inside.local or {}), **before})

    async def _items(self, values: Any, run: TaskRun) -> list[dict[str, Any]]:
        """Give ``item`` for each of *values*, which may be the URI of a file of them, one in each line."""
        parsed = _parsed(values)
        if isinstance(parsed, Mapping):
            return [{"index": at, "key": key, "value": _spelled(parsed[key])} for at, key in enumerate(parsed)]
        if isinstance(parsed, str) and self._situation.files(run).owns(parsed):
            text = await asyncio.to_thread(self._situation.files(run).path(parsed).read_text)
            parsed = [line for line in text.splitlines() if line]
        return [{"index": at, "value": value} for at, value in enumerate(listed(parsed, "values"))]

    async def _loop_until(self, task: tree.LoopUntil, visit: Visit) -> Result:
        """The condition sees what the tasks of the latest iteration gave."""
        scope = self._situation.scope(task, visit.run, visit.outside)
        often = self._situation.concrete(task.check_frequency, scope)
        began = parse_timestamp((await self._decided(visit.run, _now))["began"])
        number = 0
        while True:
            inner = visit.inside.turn(number)
            result = await self.sequence(task.tasks, inner)
            number += 1
            if self._begun(visit.inside.turn(number)):
                continue  # The condition was false then, whatever it would be by now.
            outputs = {"iterationCount": number}
            if result.state in STOPPED or truthy(self._rendered(task, visit, "condition").condition):
                return replace(result, outputs=outputs)
            late = often.max_duration and datetime.now(UTC) - began + often.interval > often.max_duration
            if late or (often.max_iterations and number >= often.max_iterations):
                error = f"the condition was still false after {number} iterations"
                return Result("FAILED" if task.fail_on_max_reached else "SUCCESS", outputs, error)
            await self._situation.rest.sleep(often.interval)

    async def _dag(self, task: tree.Dag, visit: Visit) -> Result:
        """Each task waits for those it depends on; one that depends on what did not run does not run either."""
        ended = {item.task.id: asyncio.Event() for item in task.tasks}
        failed = asyncio.Event()
        places = asyncio.Semaphore(task.concurrent or len(task.tasks))
        begun = self._situation.progress.begun

        async def one(item: tree.DagTask) -> Result:
            for name in item.depends_on:
                await ended[name].wait()
            result = Result()
            late = failed.is_set() and not begun(f"{visit.inside.path}{item.task.id}")
            if not (item.task.disabled or late):
                async with places:
                    result = await self._tasks.carry_out(item.task, visit.inside)
            if result.state in STOPPED:
                failed.set()
            ended[item.task.id].set()
            return result

        # All of them are begun: each waits, or learns that there is nothing to wait for.
        return await together(
            [Work(f"task '{item.task.id}'", partial(one, item), begun=True) for item in task.tasks], 0
        )

    async def _pause(self, task: tree.Pause, visit: Visit) -> Result:
        result = await pause(self._situation, task, visit.run, visit.outside, visit.log)
        if result.state in STOPPED or not task.tasks:
            return result
        followed = await self.sequence(task.tasks, visit.inside)
        return replace(_after(result, followed), outputs=result.outputs)

    async def _for_each_item(self, task: tree.ForEachItem, visit: Visit) -> Result:
        situation, run = self._situation, visit.run
        workdir = situation.folder / run.id
        await make_folders(workdir, situation.scratch(run))
        context = situation.context(run, visit.log, workdir, situation.scope(task, run, visit.outside))
        return await run_for_each_item(situation, task, run, visit.outside, context)

    async def _working_directory(self, task: tree.WorkingDirectory, visit: Visit) -> Result:
        """
        Children share one directory, in order. After a crash the directory is still there and goes on being used; its
        inputs are placed only once. What a power cut left of it is not to be trusted: nothing in it was fsynced.
        """
        situation, run, inside = self._situation, visit.run, visit.inside
        workdir, entered = situation.folder / run.id, situation.folder / f"{run.id}.entered"
        boot = _boot()
        usable = _text(entered) == boot
        if not usable:
            if any(path.startswith(inside.path) for path in situation.progress.ended):
                return Result(
                    "FAILED", error="the working directory was lost while the daemon was down; replay the execution"
                )
            await asyncio.to_thread(remove, [workdir])
        await make_folders(workdir, situation.scratch(run))
        scope = situation.scope(task, run, visit.outside, workdir)
        context = situation.context(run, visit.log, workdir, scope)
        if not usable:
            await enter(situation.concrete(task, scope, only=("input_files", "namespace_files", "cache")), context)
            entered.write_text(boot)
        result = await self.sequence(task.tasks, replace(inside, directory=workdir))
        scope = situation.scope(task, run, visit.outside, workdir)
        spec = situation.concrete(task, scope, only=("output_files", "cache"))
        outputs = await leave(spec, context, succeeded=result.state not in STOPPED)
        return replace(result, outputs=outputs)

    def _rendered(self, task: Any, visit: Visit, *properties: str) -> Any:
        """Give *task* with *properties* rendered as it sees them itself."""
        scope = self._situation.scope(task, visit.run, visit.outside)
        return self._situation.concrete(task, scope, only=properties)

    async def _decided(self, run: TaskRun, decide: Callable[[], Awaitable[dict[str, Any]]]) -> Mapping[str, Any]:
        """Give what the task decided when it first began."""
        if run.decision is not None:
            return run.decision
        decision = await decide()
        await self._situation.place.journal.executions.decide(run, decision)
        return decision


def _after(result: Result, last: Result) -> Result:
    """Give the result of a task when its *finally* tasks gave *last*."""
    if last.state in STOPPED and result.state not in STOPPED:
        return replace(result, state=last.state, error=last.error)
    return replace(result, state="WARNING", error=last.error) if result.state == "SUCCESS" != last.state else result


def _boot() -> str:
    """Tell this run of the machine from others: the kernel makes a new id each time it starts (random(4))."""
    return _BOOT.read_text()


def _text(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


async def _now() -> dict[str, Any]:
    return {"began": timestamp(datetime.now(UTC))}


def _parsed(values: Any) -> Any:
    """Give what *values* is as JSON, if it is text that can be read as a list or map."""
    if isinstance(values, str) and values.lstrip().startswith(("[", "{")):
        try:
            return json.loads(values)
        except ValueError as error:
            raise TaskError(f"the values of the loop are not JSON: {error}", "use toJson, or a list of YAML") from error
    return values


def listed(values: Any, name: str) -> list[str]:
    """
    Give the values of a loop as text: a list, a map (its entries), or text that is one as JSON.

    Raises:
        TaskError: it is none of these, or has nothing in a place.
    """
    parsed = _parsed(values)
    if isinstance(parsed, Mapping):
        parsed = [{"key": key, "value": value} for key, value in parsed.items()]
    if not isinstance(parsed, list | tuple):
        raise TaskError(
            f"property '{name}' should be a list, got {str(parsed)[:80]!r}", "use toJson, or a list of YAML"
        )
    if None in parsed:
        raise TaskError(f"property '{name}' has an empty value at position {list(parsed).index(None) + 1}", None)
    return [_spelled(item) for item in parsed]


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
