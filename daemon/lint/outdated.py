"""Rules about names and forms that Kestra has left behind. They work here; `tidewaiter migrate` rewrites most."""

from collections.abc import Iterator
from typing import Any

from tidewaiter.config.parts import Part
from tidewaiter.daemon.lint.finding import Hit, Rule
from tidewaiter.daemon.lint.subject import Subject
from tidewaiter.tasks.files import LocalFiles
from tidewaiter.tasks.legacy import LegacySpec
from tidewaiter.tasks.tree import EachParallel, EachSequential

_REPLACED = (LocalFiles, EachSequential, EachParallel)
_MIGRATE = "'tidewaiter migrate' rewrites it"
_MIGRATE_IF = "'tidewaiter migrate' rewrites it where nothing else changes by that, and says where it would"


def old_type(subject: Subject) -> Iterator[Hit]:
    """A type is written with a name that Kestra has replaced. Newer versions of Kestra may no longer know it."""
    for part in subject.parts:
        told_elsewhere = part.spec is not None and issubclass(part.spec, _REPLACED)
        if part.renamed and not told_elsewhere:
            where = subject.value((*part.path, "type"))
            yield Hit(where, f"type '{part.data['type']}' is now '{part.renamed}'", _MIGRATE)


def _having(subject: Subject, *keys: str, under: Any = object) -> Iterator[tuple[Part, str]]:
    for part in subject.parts:
        if part.spec is not None and issubclass(part.spec, under):
            yield from ((part, key) for key in keys if key in part.data)


def old_runner(subject: Subject) -> Iterator[Hit]:
    """
    ``runner``, ``docker`` and ``dockerOptions`` say where a script runs in the way of Kestra 0.15. Since then
    ``taskRunner`` and ``containerImage`` do.
    """
    for part, key in _having(subject, "runner", "docker", "dockerOptions"):
        if "id" in part.data:
            where = subject.key((*part.path, key))
            yield Hit(where, f"'{key}' is replaced by 'taskRunner' and 'containerImage'", _MIGRATE_IF)


def old_local_files(subject: Subject) -> Iterator[Hit]:
    """
    ``LocalFiles`` puts files into a working directory and takes some out. Since Kestra 0.17 ``inputFiles`` and
    ``outputFiles`` of the ``WorkingDirectory`` or of a task do.
    """
    for part in subject.parts:
        if part.spec is not None and issubclass(part.spec, LocalFiles):
            where = subject.value((*part.path, "type"))
            yield Hit(where, "LocalFiles is replaced by 'inputFiles' and 'outputFiles'", _MIGRATE_IF)


def old_script(subject: Subject) -> Iterator[Hit]:
    """The script tasks below ``io.kestra.core.tasks.scripts`` are older than Kestra 0.11."""
    for part in subject.parts:
        if part.spec is not None and issubclass(part.spec, LegacySpec):
            where = subject.value((*part.path, "type"))
            yield Hit(where, f"type '{part.data['type']}' is gone from Kestra", _MIGRATE_IF)


def old_property(subject: Subject) -> Iterator[Hit]:
    """
    A property is written with a name that Kestra has replaced: ``taskDefaults`` is ``pluginDefaults`` since 0.17, the
    ``name`` of an input its ``id`` since 0.15.
    """
    for part in subject.parts:
        for old, current in part.old_names():
            yield Hit(subject.key((*part.path, old)), f"'{old}' is now '{current}'", _MIGRATE)


def old_loop(subject: Subject) -> Iterator[Hit]:
    """``EachSequential`` and ``EachParallel`` are replaced by ``ForEach`` with a ``concurrencyLimit``."""
    for part in subject.parts:
        if part.spec is not None and issubclass(part.spec, EachSequential | EachParallel):
            where = subject.value((*part.path, "type"))
            yield Hit(where, f"{part.spec.__name__} is replaced by ForEach", _MIGRATE_IF)


def conditions(subject: Subject) -> Iterator[Hit]:
    """Kestra 2.0 replaces the ``conditions`` of triggers by one expression, ``when``."""
    for part in subject.under("triggers"):
        if part.data.get("conditions"):
            where = subject.key((*part.path, "conditions"))
            yield Hit(where, "'conditions' is replaced by 'when' in Kestra 2.0", "write the same as one expression")


def output_directory(subject: Subject) -> Iterator[Hit]:
    """``outputDirectory`` is deprecated: ``outputFiles`` names what is to be kept."""
    for part, key in _having(subject, "outputDirectory", "outputDir"):
        if part.data[key] is True:
            remedy = "name the files in 'outputFiles'"
            yield Hit(subject.key((*part.path, key)), f"'{key}' is replaced by 'outputFiles'", remedy)


RULES = (
    Rule("TW101", "info", "old type name", old_type),
    Rule("TW102", "info", "runner, docker, dockerOptions", old_runner),
    Rule("TW103", "info", "LocalFiles", old_local_files),
    Rule("TW104", "info", "script tasks before 0.11", old_script),
    Rule("TW105", "info", "old property name", old_property),
    Rule("TW106", "info", "EachSequential, EachParallel", old_loop),
    Rule("TW107", "info", "conditions of triggers", conditions),
    Rule("TW108", "info", "outputDirectory", output_directory),
)
