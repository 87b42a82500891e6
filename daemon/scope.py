"""
Flow and records to what an expression sees (kestra.md §1.12). Pure, but for the files that ``read()`` opens when
asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.flow import TaskSpec, TriggerSpec
from tidewaiter.config.spec import concrete, has_expression
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.journal.kv import KeyValues, ScopedKeyValues
from tidewaiter.daemon.records import Detection, Execution, TaskRun
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.storage import ExecutionFiles, NamespaceFolders
from tidewaiter.triggers.s3 import BucketTrigger

MAX_READ = 16 << 20
_WRITTEN = frozenset({"vars", "globals", "envs", "flow"})
_ENVIRONMENT = ("KESTRA_", "ENV_")


@dataclass(frozen=True, slots=True)
class Host:
    """
    What the machine lends to expressions: secrets, ``envs``, namespace files, the key/value stores and ``globals``.

    With *recursive*, what variables give is rendered again, as Kestra did before 0.14.
    """

    secrets: Secrets
    envs: Mapping[str, str]
    namespace_files: Path | None = None
    kv: KeyValues | None = None
    globals: Mapping[str, Any] = field(default_factory=dict)
    recursive: bool = False

    def functions(self, namespace: str) -> dict[str, Callable[..., Any]]:
        """Give the functions that every expression of a flow in *namespace* may call."""
        values = {"kv": ScopedKeyValues(self.kv, namespace).function} if self.kv else {}
        return {"secret": self.secrets.get, **values}

    def scope(self, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Scope:
        """
        Make the scope of an expression. Only what the flow's author or the operator wrote is ever rendered again: keys,
        contents and other data are not, whatever they look like.
        """
        if not self.recursive:
            return Scope(variables, functions)
        seen = {name: value if name in _WRITTEN else _inert(value) for name, value in variables.items()}
        return Scope(seen, {name: _giving_data(function) for name, function in functions.items()}, recursive=True)


@dataclass(frozen=True, slots=True)
class ScopedRendering:
    """The expressions of one task, for the task itself (`tidewaiter.tasks.context.Rendering`)."""

    expressions: Expressions
    scope: Scope

    def render(self, source: str, more: Mapping[str, Any] = MappingProxyType({})) -> str:
        """See `Rendering.render`."""
        return self.expressions.render(source, self._with(more))

    def evaluate(self, source: str, more: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """See `Rendering.evaluate`."""
        return self.expressions.evaluate(source, self._with(more))

    def _with(self, more: Mapping[str, Any]) -> Scope:
        return replace(self.scope, variables={**self.scope.variables, **more}) if more else self.scope


def _giving_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of which nothing that it gives is rendered."""
    return lambda *given, **named: _inert(function(*given, **named))


def _inert(value: Any) -> Any:
    """Give *value* with every text that looks like an expression kept from being one."""
    if isinstance(value, str):
        return f"{{% raw %}}{value}{{% endraw %}}" if has_expression(value) and "endraw" not in value else _plain(value)
    if isinstance(value, Mapping):
        return {name: _inert(item) for name, item in value.items()}
    return [_inert(item) for item in value] if isinstance(value, list | tuple) else value


def _plain(text: str) -> str:
    """Take the braces out of what tries to end the protection."""
    return text.replace("{", "(").replace("}", ")") if has_expression(text) else text


def environment_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what ``envs.name`` sees: variables that begin with ``KESTRA_`` or ``ENV_``, without it, in lower case."""
    return {
        name.removeprefix(prefix).lower(): value
        for prefix in _ENVIRONMENT
        for name, value in environment.items()
        if name.startswith(prefix)
    }


def trigger_scope(flow: AnyFlow, revision: int, trigger: TriggerSpec, host: Host) -> Scope:
    """Give what the properties of a trigger see; there is no execution yet (kestra.md §1.1)."""
    variables = {**flow_variables(flow, revision, host), "trigger": {"id": trigger.id, "type": trigger.type}}
    return host.scope(variables, host.functions(flow.namespace))


def object_scope(scope: Scope, item: Mapping[str, Any]) -> Scope:
    """Give what an arrival rule sees: *scope* of its trigger, and *item* as ``object``."""
    return replace(scope, variables={**scope.variables, "object": _inert(item) if scope.recursive else item})


def rendered_trigger(
    flow: AnyFlow, revision: int, trigger: BucketTrigger, host: Host, expressions: Expressions
) -> BucketTrigger:
    """Give *trigger* with its expressions rendered. Raises as `tidewaiter.config.spec.concrete`."""

    def render(text: str) -> str:
        return expressions.render(text, trigger_scope(flow, revision, trigger, host))

    return concrete(trigger, render)


def execution_variables(
    flow: AnyFlow, execution: Execution, objects: Sequence[Detection], host: Host
) -> dict[str, Any]:
    """Give what every task of *execution* sees, but for outputs and the task itself."""
    return {
        **flow_variables(flow, execution.flow_revision, host),
        "execution": {
            "id": execution.id,
            "startDate": execution.started_at or execution.created_at,
            "originalId": execution.original_id or execution.id,
            "state": execution.state.value,
        },
        **_trigger_variables(execution, objects),
    }


def _trigger_variables(execution: Execution, objects: Sequence[Detection]) -> dict[str, Any]:
    """Give ``trigger``; a run by hand without objects has none, as in Kestra (kestra.md §1.12)."""
    found = trigger_objects(objects)
    context = {"id": execution.trigger_id, "type": execution.trigger_type}
    if execution.variables is not None:
        return {"trigger": {"_context": context, **execution.variables}}
    return {"trigger": {"_context": context, "objects": found}} if found else {}


def trigger_objects(objects: Sequence[Detection]) -> list[dict[str, Any]]:
    """Give ``trigger.objects``: those of *objects* that were read, without the marker that completed their set."""
    return [object_variables(item) for item in objects if item.uri and not item.marker]


def object_variables(detection: Detection) -> dict[str, Any]:
    """
    Give one of ``trigger.objects`` (kestra.md §1.1): *key* is the source key, *movedTo* where the object is archived,
    *captures* the named parts of the key.
    """
    moved = {
        "bucket": detection.dest_bucket,
        "key": detection.dest_key,
        "uri": f"s3://{detection.dest_bucket}/{detection.dest_key}",
    }
    return {
        "uri": detection.uri,
        "bucket": detection.bucket,
        "key": detection.key,
        "etag": detection.etag,
        "versionId": detection.version_id,
        "size": detection.size,
        "lastModified": detection.last_modified,
        "changeType": detection.change_type,
        "captures": dict(detection.captures),
        "movedTo": moved if detection.dest_key else None,
    }


def task_scope(
    variables: Mapping[str, Any],
    task: TaskSpec | None,
    run: TaskRun,
    directories: tuple[Path, Path],
    files: ExecutionFiles,
    host: Host,
) -> Scope:
    """
    Give what the properties of *task*, or without one those of the flow, see; *directories* are its working and output
    directory, *files* what it may read.
    """
    workdir, outputs = directories
    namespace = variables["flow"]["namespace"]
    lookup = _Files(files)
    functions = {
        **host.functions(namespace),
        "read": lookup.read,
        "fileSize": lambda path, namespace=None: lookup.find(path, namespace).stat().st_size,
        "isFileEmpty": lambda path, namespace=None: lookup.find(path, namespace).stat().st_size == 0,
        "fileExists": lookup.exists,
        "fileURI": lookup.uri,
    }
    return host.scope(
        {
            **variables,
            **({"task": {"id": task.id, "type": task.type}} if task else {}),
            "taskrun": _taskrun(run),
            "workingDir": str(workdir),
            "outputDir": str(outputs),
        },
        functions,
    )


def _taskrun(run: TaskRun) -> dict[str, Any]:
    """Give ``taskrun``; outside of loops it has no value."""
    loop = {"value": run.value, "iteration": run.iteration}
    seen = {"id": run.id, "startDate": run.started_at, "attemptsCount": run.attempt - 1, **loop}
    return {name: value for name, value in seen.items() if value is not None}


def flow_variables(flow: AnyFlow, revision: int, host: Host) -> dict[str, Any]:
    """Give what every expression of *flow* sees, in an execution or not."""
    return {
        "flow": {"id": flow.id, "namespace": flow.namespace, "revision": revision},
        "vars": flow.variables,
        "inputs": nested({item.id: item.defaults for item in flow.inputs if item.defaults is not None}),
        "labels": {},
        "envs": dict(host.envs),
        "globals": dict(host.globals),
        "outputs": {},
    }


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Turn dotted names into maps: ``a.b`` is reached as ``inputs.a.b`` (kestra.md §1.4).

    Where ``a`` is a name of its own, it cannot be a map, too: ``a.b`` is then reached as ``inputs['a.b']``.
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        parts = name.split(".")
        taken = any(".".join(parts[:count]) in values for count in range(1, len(parts)))
        *path, last = [name] if taken else parts
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


@dataclass(frozen=True, slots=True)
class _Files:
    """What expressions may ask of files: by a URI, or by the path of a namespace file."""

    files: ExecutionFiles

    def find(self, path: str, namespace: str | None = None) -> Path:
        try:
            return self.files.path(path) if "://" in path else self._namespaces.file(path, namespace)
        except TaskError as error:
            raise ExpressionError(error.message, error.hint) from error

    @property
    def _namespaces(self) -> NamespaceFolders:
        if self.files.namespace_files is None:
            raise TaskError("there are no namespace files", "see the setting namespace_files")
        return self.files.namespace_files

    def exists(self, path: str, namespace: str | None = None) -> bool:
        try:
            return bool(self.find(path, namespace))
        except ExpressionError:
            return False

    def uri(self, path: str, namespace: str | None = None) -> str:
        try:
            return self._namespaces.uri(path, namespace)
        except TaskError as error:
            raise ExpressionError(error.message, error.hint) from error

    def read(self, path: str, namespace: str | None = None) -> str:
        file = self.find(path, namespace)
        if file.stat().st_size > MAX_READ:
            raise ExpressionError(
                f"read('{path}'): the file is larger than {MAX_READ >> 20} MiB",
                "pass the URI itself to inputFiles instead of its text",
            )
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ExpressionError(
                f"read('{path}'): the file is not UTF-8 text", "pass the URI itself to inputFiles"
            ) from error
        except OSError as error:
            raise ExpressionError(f"read('{path}'): {error.strerror}") from error
