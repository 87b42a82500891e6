"""Checks of the flows: whether they load, and whether what they ask of this machine is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidewaiter.config.errors import ConfigError, SecretMissingError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.flow import TaskSpec
from tidewaiter.daemon.doctor.finding import Finding, ok, problem, warning
from tidewaiter.daemon.flows import FlowFile, FlowSet, load_flows
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.tasks.script import ExecSpec

_SECRET = re.compile(r"""\bsecret\(\s*(?:key\s*=\s*)?['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The flows that could be loaded, and what is to say about it."""

    flows: FlowSet
    findings: tuple[Finding, ...]


def load(paths: Sequence[Path], expressions: Expressions) -> Loaded:
    """Load the flows below *paths* as the daemon does."""
    if not paths:
        return Loaded(FlowSet(), (warning("flows", "no folder of flows is given", "--flows DIR or TIDEWAITER_FLOWS"),))
    try:
        flows = load_flows(paths, expressions)
    except ConfigError as error:
        return Loaded(FlowSet(), (problem("flows", error.problems[0].message, error.problems[0].hint),))
    wrong = len({found.file for found in flows.problems})
    triggers = sum(len(file.flow.triggers) for file in flows.flows.values())
    counted = f"flows: {len(flows.flows)}, triggers: {triggers}"
    if wrong:
        first = str(flows.problems[0])
        return Loaded(
            flows, (problem("flows", f"{counted}, wrong files: {wrong}, first {first}", "tidewaiter validate"),)
        )
    return Loaded(flows, (ok("flows", counted) if flows.flows else warning("flows", "there are none here"),))


def secrets(flows: Mapping[str, FlowFile], known: Secrets) -> Iterator[Finding]:
    """Look whether every secret that a flow names is there."""
    named = {name: file for file in flows.values() for name in _SECRET.findall(file.source)}
    missing = False
    for name, file in sorted(named.items()):
        try:
            known.get(name)
        except SecretMissingError as error:
            missing = True
            yield problem("secrets", f"{error.message}, which {file.path} asks for", error.hint)
    if named and not missing:
        yield ok("secrets", f"all {len(named)} are there")


def containers(flows: Mapping[str, FlowFile], runner: str) -> Iterator[Finding]:
    """Look for tasks that ask for a container, which is refused unless the operator says otherwise."""
    asking = [file for file in flows.values() if any(map(_wants_container, file.flow.tasks))]
    if runner == "process":
        yield ok("containers", "tasks that ask for one run on this machine (runners.docker: process)")
    elif asking:
        remedy = "set runners.docker: process, or write 'taskRunner: {type: io.kestra.plugin.core.runner.Process}'"
        yield problem("containers", f"{asking[0].path} has a task that asks for a container", remedy)


def _wants_container(task: TaskSpec) -> bool:
    if isinstance(task, ExecSpec) and not task.disabled:
        return task.image is not None
    return any(map(_wants_container, task.children()))
