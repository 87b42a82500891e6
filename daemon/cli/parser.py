"""Verbs, their options and help. Imports nothing of the product, so that ``--help`` is instant."""

import argparse
from pathlib import Path
from typing import Any

_HANDLERS = "tidewaiter.daemon.cli"

_OBJECT_STATES = (
    *("CLAIMED", "STORED", "COPIED", "DONE", "SUPERSEDED", "GONE", "PARKED"),
    *("ACTION_BLOCKED", "QUARANTINED"),
)

_EXAMPLES = """\
examples:
  tidewaiter validate flows/                     check every flow in a folder
  tidewaiter test flows/orders.yaml --object orders.csv
                                                 run a flow on a local file, as if it had arrived
  tidewaiter run --flows flows/ --state-dir /var/lib/tidewaiter
  tidewaiter plan --flows flows/                 what the next poll would do, without doing it
  tidewaiter explain orders/arrival raw/a.csv    why this object does or does not fire
  tidewaiter executions list --state FAILED
  tidewaiter demo                                the whole of it on an S3 server of its own

Every setting can also be given as TIDEWAITER_<NAME> (TIDEWAITER_STATE_DIR, TIDEWAITER_RUNNERS__DOCKER=process)
or in the file named by --config; see 'tidewaiter schema --settings'.
"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line; ``options.handler`` names the function behind the chosen verb."""
    parser = argparse.ArgumentParser(
        prog="tidewaiter",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
        description="Polls S3 prefixes, takes each arriving object into custody and runs a flow on it.",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_run(verbs)
    _add_validate(verbs)
    _add_lint(verbs)
    _add_migrate(verbs)
    _add_test(verbs)
    _add_executions(verbs)
    _add_plan(verbs)
    _add_explain(verbs)
    _add_objects(verbs)
    _add_triggers(verbs)
    _add_doctor(verbs)
    _add_fsck(verbs)
    _add_demo(verbs)
    _add_schema(verbs)
    version = _verb(verbs, "version", "print the version", "version:run")
    version.add_argument("--json", action="store_true", help="as JSON, with the versions of Python and SQLite")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, got '{text}'")
    return int(text)


def _verb(verbs: Any, name: str, summary: str, handler: str, description: str | None = None) -> argparse.ArgumentParser:
    text = description or summary[0].upper() + summary[1:] + "."
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=text)
    parser.set_defaults(handler=f"{_HANDLERS}.{handler}")
    return parser


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (YAML)")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="journal, storage and working directories [./tidewaiter-state]"
    )


def _add_run(verbs: Any) -> None:
    run = _verb(
        verbs,
        "run",
        "serve the triggers of a folder of flows",
        "run:run",
        (
            "Serve the triggers of a folder of flows until SIGTERM or SIGINT. Changed flow files count at "
            "once; a broken one keeps the flow it had. The first signal lets running executions end within the grace "
            "period, the second interrupts them; either way what is unfinished goes on at the next start."
        ),
    )
    _settings(run)
    run.add_argument(
        "--flows", action="append", type=Path, metavar="DIR", help="folder or file of flows; may be repeated"
    )
    run.add_argument("--listen", metavar="HOST:PORT", help="serve webhooks, /healthz and /readyz there")
    run.add_argument("--no-web", action="store_true", help="serve nothing over TCP, whatever the settings say")
    run.add_argument(
        "--once",
        action="store_true",
        help=(
            "look once at every bucket, run what arrived, what schedules missed and what Flow triggers make of it to "
            "its end, then exit: 0, or 1 if anything failed; waits for no date of a schedule and no call of a webhook"
        ),
    )
    run.add_argument("--log-format", choices=["json", "console"], help="[console on a terminal, else json]")
    run.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="[info]")
    run.add_argument("--grace-period", metavar="DURATION", help="how long a clean stop waits for executions [PT30S]")


def _add_validate(verbs: Any) -> None:
    validate = _verb(
        verbs,
        "validate",
        "check flow files",
        "validate:run",
        (
            "Check flow files, folders walked, without running anything. Prints every mistake of every file as "
            "file:line:column: message and exits with 2 if there is one, 0 if there is none."
        ),
    )
    validate.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="flow file or folder of flows")
    validate.add_argument(
        "--json", action="store_true", help="one entry per file: {file, valid, flowId, errors, warnings}"
    )


def _add_lint(verbs: Any) -> None:
    lint = _verb(
        verbs,
        "lint",
        "say what is wrong, outdated or risky in flow files",
        "lint:run",
        (
            "Look at flow files of Kestra 0.13 to 2.0, folders walked, and say what does not run here, what is "
            "outdated, what has no effect, and what is a trap, as file:line:column: severity code message with a "
            "remedy. Runs nothing. Exits with 2 for an error, 1 for a warning, 0 for neither. The reference tells "
            "each code."
        ),
    )
    lint.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="flow file or folder of flows")
    lint.add_argument("--json", action="store_true", help="[{file, line, column, severity, code, message, remedy}]")


def _add_migrate(verbs: Any) -> None:
    migrate = _verb(
        verbs,
        "migrate",
        "rewrite outdated names and forms in flow files",
        "migrate:run",
        (
            "Rewrite what Kestra has renamed or replaced to its present form, and leave every other byte as it is: "
            "comments, quotes, order. Prints the changes as a diff unless told otherwise; what cannot be rewritten "
            "without a change of meaning is left and told on stderr. Exits with 2 if a file cannot be read as YAML."
        ),
    )
    migrate.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="flow file or folder of flows")
    how = migrate.add_mutually_exclusive_group()
    how.add_argument("--diff", action="store_true", help="print what would change [the default]")
    how.add_argument("--write", action="store_true", help="change the files, each at once as a whole")
    how.add_argument("--check", action="store_true", help="name the files that would change, and exit with 1 if any")


def _add_test(verbs: Any) -> None:
    test = _verb(
        verbs,
        "test",
        "run a flow on a local file as if it had arrived",
        "test:run",
        (
            "Run a flow on local files as if they had arrived in the bucket, in a state directory of its own that is "
            "removed afterwards. No bucket is touched. Shows each task and its log; exits 0 for SUCCESS or WARNING, 1 "
            "otherwise."
        ),
    )
    test.add_argument("flow", type=Path, metavar="FLOW", help="flow file")
    test.add_argument(
        "--object",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="local file; may be repeated; without it the flow runs without 'trigger', as by hand",
    )
    test.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="object key for it [the trigger's prefix and the file's name]",
    )
    test.add_argument("--trigger", metavar="ID", help="trigger to act as [the flow's first]")
    _inputs(test)
    test.add_argument(
        "--flows", action="append", type=Path, metavar="DIR", help="flows it may start as subflows [the folder of FLOW]"
    )
    test.add_argument("--config", type=Path, metavar="FILE", help="settings file (YAML)")
    test.add_argument("--output", type=Path, metavar="DIR", help="copy the files the flow gave out into this folder")
    test.add_argument("--json", action="store_true", help="the execution as JSON instead of a report")


def _add_executions(verbs: Any) -> None:
    executions = _verb(verbs, "executions", "list, show and steer executions", "executions:list_")
    actions = executions.add_subparsers(metavar="ACTION", required=True)
    listing = _verb(actions, "list", "newest first", "executions:list_")
    _settings(listing)
    listing.add_argument(
        "--state",
        choices=["CREATED", "RUNNING", "PAUSED", "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"],
        type=str.upper,
    )
    listing.add_argument("--flow", metavar="FLOW", help="flow id, or namespace.id")
    listing.add_argument("--limit", type=_count, default=100, metavar="N", help="[100]")
    listing.add_argument("--json", action="store_true")
    for name, summary in (
        ("show", "one execution with its task runs and outputs"),
        ("logs", "the log of one execution"),
        ("outputs", "what its tasks gave, files with their URIs"),
    ):
        action = _verb(actions, name, summary, f"executions:{name}")
        _settings(action)
        action.add_argument("id", metavar="ID", help="execution id, or as much of its beginning as is unique")
        action.add_argument("--json", action="store_true")
        if name == "logs":
            action.add_argument(
                "--follow", "-f", action="store_true", help="wait for further lines until the execution ends"
            )
    download = _verb(actions, "download", "copy files it gave out into a folder", "executions:download")
    _settings(download)
    download.add_argument("id", metavar="ID")
    download.add_argument("names", nargs="*", metavar="NAME", help="as 'executions outputs' names them [all]")
    download.add_argument("--output", "-o", type=Path, default=Path(), metavar="DIR", help="[.]")
    _add_steering(actions)


def _add_steering(actions: Any) -> None:
    """Add what changes executions: run again, end, begin, go on."""
    for name, summary in (
        ("replay", "run it again on the same objects, as a new execution"),
        ("kill", "end it and every program it started"),
    ):
        action = _verb(actions, name, summary, f"executions:{name}")
        _settings(action)
        action.add_argument("id", metavar="ID")
        action.add_argument("--json", action="store_true")
    start = _verb(actions, "start", "run a flow by hand, without an object", "executions:start")
    start.add_argument("flow", metavar="FLOW", help="flow id, or namespace.id")
    resume = _verb(actions, "resume", "let a paused execution go on", "executions:resume")
    resume.add_argument("id", metavar="ID")
    for action in (start, resume):
        _settings(action)
        _inputs(action)
        action.add_argument("--json", action="store_true")


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="an input; may be repeated")


def _add_plan(verbs: Any) -> None:
    plan = _verb(
        verbs,
        "plan",
        "what the next poll would claim, and where it would go",
        "plan:plan",
        (
            "Look at the bucket as the next poll would, and tell what it would claim, in which executions, where each "
            "object would go, and what stays and why. Nothing is claimed, written or removed. Asks the daemon of the "
            "state directory; when none runs there, the flows of --flows are read."
        ),
    )
    _settings(plan)
    plan.add_argument("trigger", nargs="?", metavar="FLOW/TRIGGER", help="[every trigger]")
    plan.add_argument("--flows", action="append", type=Path, metavar="DIR", help="folder or file of flows")
    plan.add_argument("--json", action="store_true")


def _add_explain(verbs: Any) -> None:
    explain = _verb(
        verbs,
        "explain",
        "why an object does or does not start an execution",
        "plan:explain",
        (
            "Say in one answer why the object at KEY does or does not start an execution of a trigger at the next "
            "poll, and what became of it before. Exits 0 if it does, 1 if not."
        ),
    )
    _settings(explain)
    explain.add_argument("trigger", metavar="FLOW/TRIGGER")
    explain.add_argument("key", metavar="KEY", help="the whole object key")
    explain.add_argument("--flows", action="append", type=Path, metavar="DIR", help="folder or file of flows")
    explain.add_argument("--json", action="store_true")


def _add_objects(verbs: Any) -> None:
    objects = _verb(verbs, "objects", "list and show objects, take them up again", "objects:list_")
    actions = objects.add_subparsers(metavar="ACTION", required=True)
    listing = _verb(actions, "list", "newest first", "objects:list_")
    _settings(listing)
    listing.add_argument("--state", choices=_OBJECT_STATES, type=str.upper)
    listing.add_argument("--trigger", metavar="FLOW/TRIGGER")
    listing.add_argument("--prefix", metavar="PREFIX", help="keys that begin so")
    listing.add_argument("--limit", type=_count, default=100, metavar="N", help="[100]")
    listing.add_argument("--json", action="store_true")
    show = _verb(actions, "show", "one object and what became of it", "objects:show")
    _settings(show)
    show.add_argument("id", metavar="ID", help="object id, or as much of its beginning as is unique")
    show.add_argument("--json", action="store_true")
    retry = _verb(
        actions,
        "retry",
        "take objects up again",
        "objects:retry",
        (
            "Take objects up again: a quarantined one goes back to where it was found and is new there, a parked one "
            "is claimed anew by the next look, and what waits after a failed step is tried at once. Name them by id, "
            "or all quarantined and parked ones of a trigger with --trigger."
        ),
    )
    _settings(retry)
    retry.add_argument("ids", nargs="*", metavar="ID")
    retry.add_argument("--trigger", metavar="FLOW/TRIGGER", help="all of this trigger that need it")


def _add_triggers(verbs: Any) -> None:
    triggers = _verb(verbs, "triggers", "list and steer triggers", "triggers:list_")
    actions = triggers.add_subparsers(metavar="ACTION", required=True)
    listing = _verb(actions, "list", "every trigger, how it fares and what it has in hand", "triggers:list_")
    _settings(listing)
    listing.add_argument("--json", action="store_true")
    for name, summary in (("pause", "stop looking for new objects"), ("resume", "look again"), ("poll", "look now")):
        action = _verb(actions, name, summary, f"triggers:{name}")
        _settings(action)
        action.add_argument("trigger", metavar="FLOW/TRIGGER")


def _add_doctor(verbs: Any) -> None:
    doctor = _verb(
        verbs,
        "doctor",
        "check machine, settings, flows and stores",
        "doctor:run",
        (
            "Check what a new installation gets wrong: Python, SQLite, the state directory and its disk, the journal, "
            "flows, secrets, and each bucket that is watched. Writes nothing without --probe. Exits with 1 if "
            "something keeps Tidewaiter from working."
        ),
    )
    _settings(doctor)
    doctor.add_argument(
        "--flows", action="append", type=Path, metavar="DIR", help="folder or file of flows; may be repeated"
    )
    doctor.add_argument(
        "--probe", action="store_true", help="ask stores what they honour, with objects of its own in the bucket"
    )
    doctor.add_argument("--json", action="store_true", help="[{subject, level, message, remedy}]")


def _add_fsck(verbs: Any) -> None:
    fsck = _verb(
        verbs,
        "fsck",
        "compare journal and internal storage, and repair",
        "fsck:run",
        (
            "Compare the journal with the objects in internal storage, while no daemon runs. Changes nothing without "
            "--repair, and never makes anything run: what may have run ends FAILED, to be replayed. Exits with 0 if "
            "nothing is left to do, else 1."
        ),
    )
    _settings(fsck)
    fsck.add_argument("--repair", action="store_true", help="do what the findings say")
    fsck.add_argument(
        "--accept-rollback",
        action="store_true",
        help="go on from an older copy of the journal: live executions, which may have run since, end FAILED",
    )
    fsck.add_argument("--json", action="store_true", help="[{kind, subject, message, repair, repaired}]")


def _add_demo(verbs: Any) -> None:
    demo = _verb(
        verbs,
        "demo",
        "see it work on an S3 server of its own",
        "demo:run",
        (
            "Start an S3 server and a daemon in a folder of their own, drop a few files into a bucket and show what "
            "becomes of them. Needs the extra 'demo' (pip install 'tidewaiter[demo]') and git. Leaves nothing running "
            "and, without --keep, nothing behind."
        ),
    )
    demo.add_argument("--keep", type=Path, metavar="DIR", help="work in this folder and keep it")


def _add_schema(verbs: Any) -> None:
    schema = _verb(verbs, "schema", "print the JSON Schema of flows, for editors", "schema:run")
    schema.add_argument("--settings", action="store_true", help="of the settings file instead")
    schema.add_argument("--output", "-o", type=Path, metavar="FILE", help="write it there [stdout]")
    schema.add_argument("--reference", type=Path, metavar="DIR", help="write a page for each type into this folder")
