"""The rule about text from outside that becomes part of a program (reliability.md §4.1)."""

import re
from collections.abc import Iterator

from tidewaiter.config.parts import Part
from tidewaiter.daemon.lint.finding import Hit, Rule
from tidewaiter.daemon.lint.splices import Splice, Variable
from tidewaiter.daemon.lint.subject import Subject
from tidewaiter.tasks.legacy import LegacySpec
from tidewaiter.tasks.script import ExecSpec

_CODE = ("commands", "beforeCommands", "script", "args")
_HARMLESS = frozenset(
    {"uri", "size", "lastModified", "date", "next", "previous", "executionId", "flowId", "namespace", "state", "id"}
)
"""What a trigger gives that nobody outside can choose: our own URIs, numbers and times."""
_DISARMING = frozenset(
    {"shq", "length", "md5", "sha1", "sha256", "sha512", "base64encode", "slugify", "timestamp", "number", "date"}
)
_PLAIN_INPUTS = frozenset(
    {"INT", "FLOAT", "BOOLEAN", "BOOL", "DATE", "DATETIME", "TIME", "DURATION", "FILE", "ENUM", "SELECT"}
)
_URI_IN_JQ = re.compile(r"\.uri\b[^.]*$")


def spliced(subject: Subject) -> Iterator[Hit]:
    """
    Text that comes from outside (an object's key, the body of a webhook, an input) becomes part of the commands or the
    script that a task runs. Whoever names the object then writes the program: ``x$(reboot).csv``. Passed through
    ``env`` it stays data; in a command of a shell ``| shq`` quotes it. What tasks give as outputs is not followed.
    """
    for part, key in _code(subject):
        for splice, where in subject.splices((*part.path, key)):
            if culprit := next((v for v in splice.variables if _from_outside(subject, part, v, splice)), None):
                yield Hit(where, _danger(splice, culprit, key), _as_env(culprit, splice))


def _code(subject: Subject) -> Iterator[tuple[Part, str]]:
    for part in subject.parts:
        if part.spec is not None and issubclass(part.spec, ExecSpec | LegacySpec):
            yield from ((part, key) for key in _CODE if key in part.data)


def _danger(splice: Splice, culprit: Variable, key: str) -> str:
    source = " ".join(splice.source.split())[:80]
    return f"{source} puts '{'.'.join(culprit.names)}', which comes from outside, into '{key}'"


def _as_env(culprit: Variable, splice: Splice) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", culprit.names[-1]).upper()
    inner = " ".join(splice.source.strip("{}%- \n").split())
    example = f'env: {{{name}: "{{{{ {inner} }}}}"}}' if len(inner) < 60 and '"' not in inner else f"env: {{{name}: …}}"
    return f"pass it as data: {example}, and read the variable {name} in the program"


def _from_outside(subject: Subject, part: Part, variable: Variable, splice: Splice) -> bool:
    if _DISARMING & set(variable.filters):
        return False
    if variable.root == "trigger" and variable.names[1:2] != ("outputs",):
        return "read" in variable.calls or not _harmless(variable, splice)
    if variable.root == "inputs" and len(variable.names) > 1:
        return _input_types(subject).get(variable.names[1], "STRING") not in _PLAIN_INPUTS
    return variable.names[:2] == ("taskrun", "value") and _loops_over_outside(subject, part)


def _harmless(variable: Variable, splice: Splice) -> bool:
    last = variable.names[-1]
    return last in _HARMLESS or ("jq" in variable.filters and any(_URI_IN_JQ.search(text) for text in splice.texts))


def _input_types(subject: Subject) -> dict[str, str]:
    return {
        str(part.data.get("id") or part.data.get("name")): str(part.data.get("type", "STRING"))
        for part in subject.under("inputs")
    }


def _loops_over_outside(subject: Subject, part: Part) -> bool:
    looped = (
        splice
        for around in part.owners()
        for key in ("values", "value")
        if key in around.data
        for splice, _ in subject.splices((*around.path, key))
    )
    return any(v.root == "trigger" and not _harmless(v, splice) for splice in looped for v in splice.variables)


RULES = (Rule("TW401", "warning", "text from outside in a program", spliced),)
