"""Rules about what keeps a flow from running here."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tidewaiter.config.parts import Part
from tidewaiter.daemon.lint.finding import Hit, Rule
from tidewaiter.daemon.lint.subject import Subject

_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "io.kestra.plugin.jdbc.": "run the query in a python.Script with the database's driver in 'dependencies'",
        "io.kestra.plugin.notifications.": "send the message with a core.http.Request",
        "io.kestra.plugin.slack.": "send the message with a core.http.Request",
        "io.kestra.plugin.dbt.": "run dbt in shell.Commands or python.Commands with 'dependencies: [dbt-core]'",
        "io.kestra.plugin.gcp.": "run the client of that cloud in a shell.Commands or python.Script",
        "io.kestra.plugin.azure.": "run the client of that cloud in a shell.Commands or python.Script",
        "io.kestra.plugin.aws.": "run the aws command in a shell.Commands, or boto3 in a python.Script",
        "io.kestra.plugin.docker.": "run the program itself in a shell.Commands",
        "io.kestra.plugin.kubernetes.": "run kubectl in a shell.Commands",
        "io.kestra.plugin.terraform.": "run terraform in a shell.Commands",
        "io.kestra.plugin.ansible.": "run ansible in a shell.Commands",
        "io.kestra.plugin.airbyte.": "call its API with a core.http.Request",
        "io.kestra.plugin.fivetran.": "call its API with a core.http.Request",
        "io.kestra.plugin.hightouch.": "call its API with a core.http.Request",
        "io.kestra.plugin.serdes.": "convert the file in a python.Script",
        "io.kestra.plugin.compress.": "run tar, gzip or unzip in a shell.Commands",
        "io.kestra.plugin.scripts.": "run it with shell.Commands or python.Script",
        "io.kestra.plugin.fs.": "run curl, sftp or cp in a shell.Commands",
        "io.kestra.plugin.git.": "run git in a shell.Commands after a git.Clone",
        "io.kestra.plugin.core.": "'tidewaiter schema' lists the types there are",
        "io.kestra.core.": "'tidewaiter schema' lists the types there are",
    }
)
"""What to do instead of a type that is not there, by the beginning of its name; longer beginnings come first."""


def _outside(subject: Subject) -> Iterator[tuple[Part, str]]:
    for part in subject.parts:
        written = part.data.get("type")
        if part.spec is None and isinstance(written, str):
            yield part, written


def outside(subject: Subject) -> Iterator[Hit]:
    """
    A task or trigger has a type that Tidewaiter does not have. It serves flows that work on the objects of buckets with
    scripts, files, HTTP and git; what talks to other products is left to the script that needs it.
    """
    for part, written in _outside(subject):
        remedy = next((text for start, text in _INSTEAD.items() if written.startswith(start)), None)
        yield Hit(
            subject.value((*part.path, "type")),
            f"type '{written}' is outside of what runs here",
            remedy or "keep this flow in Kestra, or do the work in a script task",
        )


def invalid(subject: Subject) -> Iterator[Hit]:
    """What `tidewaiter validate` says: the flow is not loaded until this is put right."""
    told = {subject.value((*part.path, "type")) for part, _ in _outside(subject)}
    for problem in subject.problems:
        if (problem.line, problem.column) not in told:
            yield Hit((problem.line, problem.column), problem.message, problem.hint)


RULES = (
    Rule("TW001", "error", "not valid", invalid),
    Rule("TW002", "error", "type outside of what runs here", outside),
)
