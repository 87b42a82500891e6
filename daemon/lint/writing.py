"""Rules about flows of any kind: what has no effect, and what is likely to mean something else than is written."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args, get_origin

from tidewaiter.config.document import Path
from tidewaiter.config.parts import Part, annotation_of
from tidewaiter.config.spec import has_expression
from tidewaiter.daemon.lint.finding import Hit, Rule
from tidewaiter.daemon.lint.splices import Variable
from tidewaiter.daemon.lint.subject import Subject
from tidewaiter.tasks import files
from tidewaiter.tasks.git import Clone

_INPUT_FILES = files.LocalFiles.model_fields["inputs"].annotation
_GLOB_CHECK = get_args(files.Glob)[-1]
_NO_SECRET = re.compile(r"(?i)^(|null|true|false|none|<.*>)$")
_SECRET = re.compile(r"(?i)(secret|password|passphrase|token|private_?key|client_?pem|^accessKeyId$)")


def ignored(subject: Subject) -> Iterator[Hit]:
    """A property of Kestra is accepted, so that the flow loads, and has no effect here. The message says why."""
    for part in subject.parts:
        reasons: Mapping[str, str] = getattr(part.spec, "IGNORED", {})
        for name in part.data:
            if name in reasons and part.data[name] not in (None, False, [], {}):
                where = subject.key((*part.path, name))
                yield Hit(
                    where, f"'{name}' has no effect here: {reasons[name]}", "leave it out, or know that it does nothing"
                )


def read_into_text(subject: Subject) -> Iterator[Hit]:
    """
    ``inputFiles`` takes a file's URI and puts its content there. ``read(…)`` does it through the text of the flow
    instead: it holds the whole file in memory, has a limit, and damages what is not UTF-8.
    """
    taking = (
        (*part.path, key) for part in subject.parts for key, field in part.fields() if field.annotation == _INPUT_FILES
    )
    for splice, where in (found for path in taking for found in subject.splices(path)):
        if any("read" in variable.calls for variable in splice.variables):
            remedy = "give the URI itself, without read()"
            yield Hit(where, "read() takes the whole file through the flow's text", remedy)


def shallow_glob(subject: Subject) -> Iterator[Hit]:
    """
    ``**/x`` finds ``x`` in folders, but not at the top: the slash must be there (as in Kestra and Java). Name both
    patterns if both are meant: ``{x,**/x}``.
    """
    for part in subject.parts:
        for key, field in part.fields():
            if _has_glob(annotation_of(field)):
                yield from _shallow(subject, part.data[key], (*part.path, key))


def _shallow(subject: Subject, value: Any, path: Path) -> Iterator[Hit]:
    for index, pattern in enumerate(value if isinstance(value, list) else ()):
        rest = str(pattern).removeprefix("**/")
        if rest != pattern and {rest, f"{{{rest},{pattern}}}"}.isdisjoint(map(str, value)):
            remedy = f'to find it at the top, too, write "{{{rest},{pattern}}}"'
            yield Hit(
                subject.value((*path, index)),
                f"'{pattern}' does not match '{rest}' at the top of the directory",
                remedy,
            )


def _has_glob(annotation: Any) -> bool:
    if any(item is _GLOB_CHECK for item in getattr(annotation, "__metadata__", ())):
        return True
    return get_origin(annotation) is not dict and any(map(_has_glob, get_args(annotation)))


def unrendered(subject: Subject) -> Iterator[Hit]:
    """
    A variable of the flow has an expression in it. Until 0.13 Kestra rendered what an expression gave again; since then
    ``vars.x`` gives the text as it is written, and ``render(vars.x)`` renders it.
    """
    variables = subject.flow.get("variables")
    written = variables if isinstance(variables, Mapping) else {}
    templates = {name for name, text in written.items() if isinstance(text, str) and has_expression(text)}
    for splice, where in subject.splices(()) if templates else ():
        for variable in splice.variables:
            if _is_template(variable, templates) and not {"render", "renderOnce"} & set(variable.calls):
                name = ".".join(variable.names[:2])
                yield Hit(where, f"{name} has an expression in it, which is not rendered", f"write render({name})")


def _is_template(variable: Variable, templates: Collection[str]) -> bool:
    return variable.root == "vars" and len(variable.names) > 1 and variable.names[1] in templates


def secret_in_text(subject: Subject) -> Iterator[Hit]:
    """A password, key or token is written into the flow. Everyone who reads the flow or its repository has it."""
    for part in subject.parts:
        for key, value in part.data.items():
            written = isinstance(value, str) and not has_expression(value) and not _NO_SECRET.match(value)
            if written and _SECRET.search(key) and _is_known(part, key):
                remedy = f"keep it as a secret: \"{{{{ secret('{_constant(key)}') }}}}\""
                yield Hit(subject.value((*part.path, key)), f"'{key}' is written in clear text", remedy)


def _is_known(part: Part, key: str) -> bool:
    return any(name == key for name, _ in part.fields())


def _constant(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def missing_input(subject: Subject) -> Iterator[Hit]:
    """
    An input has no default, and a trigger of the flow gives it no value: what the trigger starts fails where the input
    is first used.
    """
    starting = [part for part in subject.under("triggers") if not part.data.get("disabled")]
    for part in subject.under("inputs"):
        name = str(part.data.get("id") or part.data.get("name"))
        if part.data.get("required") is False or "defaults" in part.data or "prefill" in part.data:
            continue
        for trigger in starting:
            given = trigger.data.get("inputs")
            if not (isinstance(given, Mapping) and name in given):
                where = subject.value(part.path)
                yield Hit(
                    where, f"trigger '{trigger.data.get('id')}' gives no value for the input '{name}'", "add 'defaults'"
                )
                break


def clone_over_files(subject: Subject) -> Iterator[Hit]:
    """
    A repository is cloned into a directory that has files already. Here the files of the repository are put among them;
    versions of Kestra before plugin-git 0.24 refuse that.
    """
    for part in subject.parts:
        if part.spec is None or not issubclass(part.spec, Clone) or part.owner is None or part.data.get("directory"):
            continue
        index = part.path[-1]
        before = part.owner.data.get("tasks")
        first = isinstance(index, int) and isinstance(before, list) and before[:index]
        if "inputFiles" in part.owner.data or (
            first and any("inputs" in task for task in first if isinstance(task, dict))
        ):
            where = subject.value((*part.path, "type"))
            yield Hit(
                where, "the directory has files before the clone, which older versions of Kestra refuse", "clone first"
            )


RULES = (
    Rule("TW201", "warning", "property without effect", ignored),
    Rule("TW402", "warning", "file read into text", read_into_text),
    Rule("TW403", "warning", "glob that misses the top", shallow_glob),
    Rule("TW404", "warning", "expression in a variable", unrendered),
    Rule("TW405", "warning", "secret in clear text", secret_in_text),
    Rule("TW406", "warning", "input without a value", missing_input),
    Rule("TW407", "info", "clone over files", clone_over_files),
)
