"""The journal as JSON, in the shapes that design.md §5 promises to the outside world. Reads only."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidewaiter.config.document import parse
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Execution, LogLine, TaskRun, TriggerKey, TriggerStatus, execution_id
from tidewaiter.daemon.scope import trigger_objects
from tidewaiter.daemon.secrets import MASK


async def executions(journal: Journal, *, state: str | None, flow: str | None, limit: int) -> list[dict[str, Any]]:
    """Give executions, newest first."""
    found = await journal.executions.newest(state=state, flow=flow, limit=limit)
    return [await execution_summary(journal, execution) for execution in found]


async def execution_summary(journal: Journal, execution: Execution) -> dict[str, Any]:
    """Give one execution as ``executions list`` shows it."""
    objects = await journal.detections.batch(execution.batch_id)
    return {
        "id": execution.id,
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "flowRevision": execution.flow_revision,
        "state": execution.state.value,
        "trigger": {
            "id": execution.trigger_id,
            "type": execution.trigger_type,
            "objects": trigger_objects(objects),
            "variables": None if execution.variables is None else dict(execution.variables),
        },
        "inputs": await _inputs(journal, execution),
        "labels": dict(execution.labels),
        "parentId": execution.parent_id,
        "resumeAt": execution.resume_at,
        "createdAt": execution.created_at,
        "startedAt": execution.started_at,
        "endedAt": execution.ended_at,
        "attempts": execution.attempts,
        "originalId": execution.original_id,
        "error": execution.error,
    }


async def _inputs(journal: Journal, execution: Execution) -> dict[str, Any]:
    """Give the inputs of an execution, without those that its flow keeps secret."""
    if not execution.inputs:
        return {}
    source = await journal.triggers.source(execution.namespace, execution.flow_id, execution.flow_revision)
    specs = parse(source, execution.flow_path).data.get("inputs") or () if source else ()
    hidden = {spec.get("id", spec.get("name")) for spec in specs if spec.get("type") == "SECRET"}
    return {name: MASK if name in hidden else value for name, value in execution.inputs.items()}


async def execution_details(journal: Journal, execution: Execution) -> dict[str, Any]:
    """Give one execution as ``executions show`` shows it: the summary, its task runs and outputs."""
    runs = await journal.executions.task_runs(execution.id)
    return {
        **await execution_summary(journal, execution),
        "taskRuns": task_runs(runs),
        "outputs": dict(execution.outputs),
    }


def task_runs(runs: Sequence[TaskRun]) -> list[dict[str, Any]]:
    """Give one entry for each task, with the latest attempt's state, in order of first start."""
    latest: dict[str, TaskRun] = {}
    first: dict[str, str] = {}
    for run in runs:
        latest[run.task_path] = run
        first.setdefault(run.task_path, run.started_at)
    return [
        {
            "id": run.id,
            "taskId": run.task_id,
            "path": path,
            "state": run.state.value,
            "value": run.value,
            "iteration": run.iteration,
            "attempts": run.attempt,
            "startedAt": first[path],
            "endedAt": run.ended_at,
            "outputs": dict(run.outputs),
            "error": run.error,
        }
        for path, run in latest.items()
    ]


def log_line(number: int, line: LogLine) -> dict[str, Any]:
    """Give one line of an execution's log."""
    return {
        "line": number,
        "at": line.at,
        "level": line.level,
        "task": line.task_path,
        "attempt": line.attempt,
        "message": line.message,
    }


def stored_files(runs: Sequence[Mapping[str, Any]], outputs: Mapping[str, Any]) -> dict[str, str]:
    """
    Find the files among outputs: ``task/path`` → URI. Where two tasks captured one path, the later one has it under
    its task's name.
    """
    found: dict[str, str] = {}
    for owner, values in [*((run["taskId"], run["outputs"]) for run in runs), ("outputs", outputs)]:
        for group in ("outputFiles", "uris"):
            files = values.get(group) if isinstance(values, Mapping) else None
            if isinstance(files, Mapping):
                found.update({f"{owner}/{name}": uri for name, uri in files.items() if isinstance(uri, str)})
    return found


def object_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give one object as ``objects list`` shows it; *route* is where it went, or goes, after its execution."""
    route = row["route_purpose"] and {
        "purpose": row["route_purpose"],
        "state": row["route_state"],
        "bucket": row["route_bucket"],
        "key": row["route_key"],
        "attempts": row["route_attempts"],
        "nextTry": row["route_next_try"],
    }
    return {
        "id": row["id"],
        "trigger": row["trigger_key"],
        "bucket": row["bucket"],
        "key": row["object_key"],
        "state": row["state"],
        "etag": row["etag"],
        "versionId": row["version_id"],
        "size": row["size"],
        "lastModified": row["last_modified"],
        "changeType": row["change_type"],
        "action": row["action"],
        "executionId": execution_id(row["batch_id"]) if row["uri"] else None,
        "uri": row["uri"],
        "sha256": row["sha256"],
        "movedTo": row["dest_key"] and {"bucket": row["dest_bucket"], "key": row["dest_key"]},
        "route": route,
        "error": row["error"],
        "attempts": row["attempts"],
        "nextTry": row["next_try"],
        "updatedAt": row["updated_at"],
    }


def trigger_view(
    key: TriggerKey, facts: Mapping[str, Any], status: TriggerStatus | None, counts: Mapping[str, int]
) -> dict[str, Any]:
    """Give one trigger as ``triggers list`` shows it; *facts* are what the daemon or the flow file says of it."""
    problem = facts.get("problem")
    if problem is None and status and status.cause:
        problem = {"cause": status.cause, "message": status.message, "hint": status.hint, "since": status.since}
    if problem is None and status and status.stopped_by:
        problem = _stopped(key, status.stopped_by)
    state = "PAUSED" if status and status.paused else "ERROR" if problem else facts.get("state", "OK")
    return {
        "id": key.trigger_id,
        "namespace": key.namespace,
        "flowId": key.flow_id,
        "name": str(key),
        **facts,
        "state": state,
        "problem": problem,
        "detections": dict(counts),
    }


def _stopped(key: TriggerKey, execution: str) -> dict[str, Any]:
    message = f"stopAfter: paused by the end of execution {execution}"
    return {"cause": "Stopped", "message": message, "hint": f"tidewaiter triggers resume {key}", "since": None}


def rejected_file(file: str, problem: Mapping[str, Any]) -> dict[str, Any]:
    """Give a flow file that is wrong, and of which nothing is in service, beside the triggers."""
    unknown = ("id", "namespace", "flowId", "type", "bucket", "prefix", "action", "lastPoll", "capabilities")
    return {
        **dict.fromkeys(unknown),
        "name": file,
        "state": "ERROR",
        "waiting": False,
        "backlog": None,
        "held": {},
        "problem": dict(problem),
        "detections": {},
    }
