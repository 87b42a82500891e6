"""
What users ask of a running or resting Tidewaiter, as requests with JSON answers: one table for the API and for the
command line.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidewaiter import __version__
from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon import views
from tidewaiter.daemon.control import Control, NotFoundError, NotPossibleError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.objects import Wanted
from tidewaiter.daemon.preview import Preview
from tidewaiter.daemon.records import TriggerKey

Facts = Mapping[TriggerKey, Mapping[str, Any]]
Query = Mapping[str, str]


class BadRequestError(TidewaiterError):
    """A request's parameters make no sense."""


@dataclass(frozen=True, slots=True)
class Operations:
    """
    Answers requests from the journal and passes intents to `Control`. *facts* gives the triggers known at the moment,
    *daemon* tells whether a daemon is behind it, *rejected* what is wrong with flow files that nothing of is served;
    *preview* looks at buckets without touching them.
    """

    journal: Journal
    control: Control
    facts: Callable[[], Awaitable[Facts]]
    daemon: bool
    rejected: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    preview: Preview | None = None

    async def answer(self, method: str, path: str, query: Query) -> Any:
        """
        Answer one request of the API.

        Raises:
            NotFoundError: no such path, execution or trigger.
            NotPossibleError, BadRequestError: the request does not fit.
        """
        for route_method, pattern, handler in ROUTES:
            match = pattern.fullmatch(path)
            if match and route_method == method:
                return await handler(self, match.groupdict(), query)
        raise NotFoundError(f"there is nothing at {method} {path}")

    async def status(self, _path: Query, _query: Query) -> dict[str, Any]:
        """Say which version answers, whether a daemon runs, and how many executions are in each state."""
        return {"version": __version__, "daemon": self.daemon, "executions": await self.journal.executions.counts()}

    async def executions(self, _path: Query, query: Query) -> list[dict[str, Any]]:
        """List executions, newest first."""
        return await views.executions(
            self.journal, state=query.get("state"), flow=query.get("flow"), limit=_number(query, "limit", 100)
        )

    async def execution(self, path: Query, _query: Query) -> dict[str, Any]:
        """Show one execution with its task runs and outputs."""
        return await views.execution_details(self.journal, await self.control.execution(path["id"]))

    async def logs(self, path: Query, query: Query) -> list[dict[str, Any]]:
        """Give the log of one execution, past line number ``after``."""
        execution = await self.control.execution(path["id"])
        lines = await self.journal.logs.of(execution.id, after=_number(query, "after", 0))
        return [views.log_line(number, line) for number, line in lines]

    async def kill(self, path: Query, _query: Query) -> dict[str, Any]:
        """Ask for an execution to be killed."""
        return await views.execution_summary(self.journal, await self.control.kill(path["id"]))

    async def start(self, _path: Query, query: Query) -> dict[str, Any]:
        """Run a flow by hand."""
        if not query.get("flow"):
            raise BadRequestError("'flow' must name a flow")
        return await views.execution_summary(self.journal, await self.control.start(query["flow"], _inputs(query)))

    async def resume(self, path: Query, query: Query) -> dict[str, Any]:
        """Let a paused execution go on."""
        return await views.execution_summary(self.journal, await self.control.resume(path["id"], _inputs(query)))

    async def replay(self, path: Query, _query: Query) -> dict[str, Any]:
        """Run an execution again on the same objects."""
        return await views.execution_summary(self.journal, await self.control.replay(path["id"]))

    async def objects(self, _path: Query, query: Query) -> list[dict[str, Any]]:
        """List objects, newest first."""
        trigger = await self._trigger(query["trigger"]) if "trigger" in query else None
        wanted = Wanted(query.get("state"), trigger, query.get("prefix"), limit=_number(query, "limit", 100))
        return [views.object_view(row) for row in await self.journal.objects.newest(wanted)]

    async def object(self, path: Query, _query: Query) -> dict[str, Any]:
        """Show one object."""
        return views.object_view(await self.control.object(path["id"]))

    async def retry_object(self, path: Query, _query: Query) -> dict[str, Any]:
        """Take an object up again."""
        done = await self.control.retry_object(path["id"])
        return {**views.object_view(await self.control.object(path["id"])), "done": done}

    async def triggers(self, _path: Query, _query: Query) -> list[dict[str, Any]]:
        """List triggers and how they fare, and flow files of which none is served since they are wrong."""
        statuses, counts, facts = (
            await self.journal.triggers.statuses(),
            await self.journal.detections.counts(),
            await self.facts(),
        )
        for trigger, number in (await self.journal.objects.quarantined()).items():
            counts.setdefault(trigger, {})["QUARANTINED"] = number
        return [
            *(
                views.trigger_view(key, known, statuses.get(str(key)), counts.get(str(key), {}))
                for key, known in sorted(facts.items(), key=lambda item: str(item[0]))
            ),
            *(views.rejected_file(file, problem) for file, problem in sorted(self.rejected().items())),
        ]

    async def plan(self, path: Query, _query: Query) -> dict[str, Any]:
        """Say what the next look of a trigger would do."""
        preview = self._preview()
        return await preview.plan(preview.watch(path["trigger"]))

    async def explain(self, path: Query, query: Query) -> dict[str, Any]:
        """Say why an object does or does not fire."""
        if not query.get("key"):
            raise BadRequestError("'key' must name an object")
        preview = self._preview()
        return await preview.explain(preview.watch(path["trigger"]), query["key"])

    def _preview(self) -> Preview:
        if self.preview is None:
            raise NotPossibleError("there is nothing to look with", "name the folder of flows with --flows")
        return self.preview

    async def trigger_request(self, path: Query, _query: Query) -> dict[str, Any]:
        """Pause, resume or poll a trigger."""
        key = await self._trigger(path["trigger"])
        if path["verb"] == "poll":
            self.control.poll(key)
        else:
            await self.control.pause(key, paused=path["verb"] == "pause")
        return {"trigger": str(key), "done": path["verb"]}

    async def _trigger(self, text: str) -> TriggerKey:
        known = await self.facts()
        found = [key for key in known if key.answers_to(text)]
        if len(found) != 1:
            reason = f"several triggers are called '{text}'" if found else f"there is no trigger '{text}'"
            raise NotFoundError(reason, "see 'tidewaiter triggers list'; name it as namespace/flow/trigger")
        return found[0]


Handler = Callable[[Operations, Query, Query], Awaitable[Any]]

_ID = "(?P<id>[^/]+)"
ROUTES: tuple[tuple[str, re.Pattern[str], Handler], ...] = tuple(
    (method, re.compile(f"/api/v1/{path}"), handler)
    for method, path, handler in (
        ("GET", "status", Operations.status),
        ("GET", "executions", Operations.executions),
        ("GET", f"executions/{_ID}", Operations.execution),
        ("GET", f"executions/{_ID}/logs", Operations.logs),
        ("POST", "executions", Operations.start),
        ("POST", f"executions/{_ID}/kill", Operations.kill),
        ("POST", f"executions/{_ID}/resume", Operations.resume),
        ("POST", f"executions/{_ID}/replay", Operations.replay),
        ("GET", "objects", Operations.objects),
        ("GET", f"objects/{_ID}", Operations.object),
        ("POST", f"objects/{_ID}/retry", Operations.retry_object),
        ("GET", "triggers", Operations.triggers),
        ("GET", "triggers/(?P<trigger>.+)/plan", Operations.plan),
        ("GET", "triggers/(?P<trigger>.+)/explain", Operations.explain),
        ("POST", "triggers/(?P<trigger>.+)/(?P<verb>pause|resume|poll)", Operations.trigger_request),
    )
)
"""Method, path and handler of every request there is."""


def _inputs(query: Query) -> dict[str, Any]:
    try:
        inputs = json.loads(query.get("inputs", "{}"))
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"'inputs' must be JSON: {error}") from error
    if not isinstance(inputs, dict):
        raise BadRequestError("'inputs' must be a map")
    return inputs


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise BadRequestError(f"'{name}' must be a number, got '{text[:40]}'")
    return int(text)
