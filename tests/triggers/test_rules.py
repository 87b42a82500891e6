"""What the rules say of one object: the verdict, and the reason as people read it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.rules import Kind, Rules, Verdict, variables_of
from tidewaiter.triggers.s3 import S3Trigger

NOON = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
EXPRESSIONS = Expressions()


def render(source: str, item: Mapping[str, Any]) -> str:
    return EXPRESSIONS.render(source, Scope({"object": item, "vars": {"limit": 3}}))


def rules(**properties: Any) -> Rules:
    written = {"id": "t", "type": "aws.s3.Trigger", "bucket": "b-1", "prefix": "raw/", "action": "NONE", **properties}
    return Rules.of(S3Trigger.model_validate(written), render)


def item(key: str = "raw/a.csv", *, size: int = 12, old: float = 4, storage_class: str | None = None) -> S3Object:
    return S3Object("b-1", key, "e", size, NOON - timedelta(seconds=old), storage_class=storage_class)


def judge(listed: S3Object, **properties: Any) -> Verdict:
    return rules(**properties).judge(listed, NOON)


def test_without_rules_everything_is_taken() -> None:
    """An object below the prefix is meant."""
    assert judge(item()) == Verdict(Kind.TAKE)


@pytest.mark.parametrize(
    ("listed", "properties", "rule", "reason"),
    [
        (item("raw/"), {"filter": "FILES"}, "filter", "it is a folder; filter is FILES"),
        (item(), {"filter": "DIRECTORY"}, "filter", "it is no folder; filter is DIRECTORY"),
        (item("raw/.tidewaiter-probe-0123456789abcdef"), {}, "key", "it is one of Tidewaiter's own probe objects"),
        (item(), {"regexp": r"raw/.*\.txt"}, "regexp", r"its key does not match regexp 'raw/.*\.txt'"),
        (item(), {"pattern": "raw/{x}.txt"}, "pattern", "its key does not match pattern 'raw/{x}.txt'"),
        (item(), {"include": ["*.txt", "*.tsv"]}, "include", "no glob of include matches it: *.txt, *.tsv"),
        (item(), {"include": "*.csv", "exclude": "a.*"}, "exclude", "exclude 'a.*' leaves it out"),
        (item(), {"minSize": "1KiB"}, "minSize", "its size 12 B is below minSize 1 KiB"),
        (item(size=2048), {"maxSize": "1 KB"}, "maxSize", "its size 2 KiB is above maxSize 1 KB"),
        (item(storage_class="GLACIER"), {"storageClass": ["STANDARD", "STANDARD_IA"]}, "storageClass",
         "its storage class is GLACIER; storageClass is STANDARD, STANDARD_IA"),
        (item(old=90_000), {"maxAge": "PT2H"}, "maxAge", "it is 25 h old; maxAge is PT2H"),
        (item(old=90), {"initial": "since:2026-05-01T12:00"}, "initial",
         "it was changed at 11:59:00Z; initial lets in what is since 12:00:00Z"),
        (item(old=172_800), {"initial": "since:2026-05-01T14:00+02:00"}, "initial",
         "it was changed at 2026-04-29 12:00:30Z; initial lets in what is since 12:00:00Z"),
        (item(), {"when": "{{ object.size > 100 }}"}, "when", "the expression of 'when' is not true for it"),
        (item(), {"when": False}, "when", "the expression of 'when' is not true for it"),
        (item("raw/a/_SUCCESS"), {"doneFile": "_SUCCESS"}, "doneFile", "it is the marker of a set"),
        (item("raw/a/x.manifest"), {"manifest": "*.manifest"}, "manifest", "it is the marker of a set"),
        (item("raw/done/a"), {"action": "MOVE", "moveTo": {"key": "raw/done"}, "regexp": ".*"}, "moveTo",
         "it lies where the trigger moves objects to"),
    ],
)  # fmt: skip
def test_what_is_not_meant(listed: S3Object, properties: dict[str, Any], rule: str, reason: str) -> None:
    """An object that a rule leaves out is skipped, and the reason names the rule and both values."""
    verdict = judge(listed, **properties)
    assert (verdict.kind, verdict.rule, verdict.reason) == (Kind.SKIP, rule, reason)


@pytest.mark.parametrize(
    ("listed", "properties"),
    [
        (item(), {"regexp": r"raw/(?<name>.*)\.csv", "pattern": "raw/{file}.{kind}"}),
        (item(), {"include": "*.csv"}),
        (item("raw/x/y/a.csv"), {"include": "*.csv"}),
        (item("raw/x/a.csv"), {"include": "x/*.csv"}),
        (item("raw/x/a.csv"), {"prefix": "raw/x", "include": "x/*.csv"}),
        (item("raw/x/y/a.csv"), {"include": "**/y/*"}),
        (item("raw/x/a.csv"), {"include": "*.csv", "exclude": "a.csv/*"}),
        (item(size=1024), {"minSize": "1 KiB", "maxSize": 1024}),
        (item(), {"storageClass": "STANDARD"}),
        (item(old=30), {"minAge": "PT30S", "maxAge": "PT31S"}),
        (item(old=30), {"initial": "since:2026-05-01T12:00:00Z"}),
        (item(), {"when": "{{ object.size > vars.limit and object.name == 'a.csv' }}"}),
        (item(), {"when": True}),
        (item("raw/_SUCCESS.csv"), {"doneFile": "_SUCCESS"}),
    ],
)
def test_what_is_meant(listed: S3Object, properties: dict[str, Any]) -> None:
    """An object that every rule lets in is taken."""
    assert judge(listed, **properties).kind is Kind.TAKE


@pytest.mark.parametrize(
    ("glob", "key"), [("x/*", "raw/y/x/a"), ("*/a", "raw/a"), ("raw/*", "raw/a"), ("**/a", "raw/a"), ("a*", "raw/x/ba")]
)
def test_globs_that_do_not_mean_it(glob: str, key: str) -> None:
    """With a slash a glob is for the whole path below the prefix's folder, without one for the whole name."""
    assert judge(item(key), include=[glob]).rule == "include"


def test_too_young() -> None:
    """An object that is not old enough waits, and when it will be is told."""
    verdict = judge(item(old=4), minAge="PT30S")
    assert (verdict.kind, verdict.until) == (Kind.WAIT, NOON + timedelta(seconds=26))
    assert verdict.reason == "it is 4 s old; minAge PT30S lets it in at 12:00:56Z"


def test_age_is_by_the_time_given() -> None:
    """An object from the future of the store's clock is simply young."""
    assert judge(item(old=-5), minAge="PT30S").reason.startswith("it is 0 s old")


def test_a_failing_expression_keeps_its_object_waiting() -> None:
    """The object is neither taken nor passed over, and the error is there to be told."""
    verdict = judge(item(), when="{{ object.captures.nothing }}")
    assert (verdict.kind, verdict.rule) == (Kind.WAIT, "expression")
    assert isinstance(verdict.error, ExpressionError)


def test_captures_of_pattern_and_regexp() -> None:
    """Both give parts of the key by name."""
    verdict = judge(item(), pattern="raw/{name}.csv", regexp=r"raw/(?<first>.)(?<none>-)?.*")
    assert verdict.captures == {"name": "a", "first": "a"}


def test_where_it_goes() -> None:
    """A taken object knows its destination, made of what is known of it."""
    move = {
        "key": "done/{{ object.captures.x }}/",
        "name": "{{ object.lastModified | date('yyyy') }}-{{ object.name }}",
    }
    verdict = judge(item("raw/acme/a.csv"), pattern="raw/{x}/{y}", action="MOVE", moveTo=move)
    assert verdict == Verdict(
        Kind.TAKE, captures={"x": "acme", "y": "a.csv"}, destination=("b-1", "done/acme/2026-a.csv")
    )


@pytest.mark.parametrize(
    ("key", "rule", "reason"),
    [
        ("raw/a\nb", "key", "its key has control characters"),
        ("raw/..", "key", "its key has a '.' or '..' between slashes"),
        ("raw/...", "moveTo", "its destination '../...' is not safe: its key has a '.' or '..' between slashes"),
    ],
)
def test_what_must_not_be_touched(key: str, rule: str, reason: str) -> None:
    """An object whose key, or whose destination, is not safe to act on is refused, with the reason."""
    verdict = judge(item(key), action="MOVE", moveTo={"key": "{{ object.name | slice(0, 2) }}"})
    assert (verdict.kind, verdict.rule, verdict.reason) == (Kind.REFUSE, rule, reason)


@pytest.mark.parametrize(
    ("key", "name", "stem", "extension", "path"),
    [
        ("raw/x/a.tar.gz", "a.tar.gz", "a.tar", "gz", "x/a.tar.gz"),
        ("raw/.hidden", ".hidden", ".hidden", "", ".hidden"),
        ("raw/plain", "plain", "plain", "", "plain"),
        ("raw/x/", "", "", "", "x/"),
    ],
)
def test_what_an_expression_sees(key: str, name: str, stem: str, extension: str, path: str) -> None:
    """The parts of a key that expressions need are there by name."""
    seen = variables_of(item(key), {"a": "b"}, "raw/")
    assert (seen["name"], seen["stem"], seen["extension"], seen["path"]) == (name, stem, extension, path)
    assert (seen["lastModified"], seen["storageClass"]) == ("2026-05-01T12:00:26.000000Z", "STANDARD")
    assert (seen["captures"], seen["size"], seen["key"]) == ({"a": "b"}, 12, key)


def test_done_files() -> None:
    """The name is relative to the object's folder, and may be made of the object's."""
    assert rules(doneFile="_SUCCESS").done_file(item("raw/x/a"), {}) == "raw/x/_SUCCESS"
    assert rules(doneFile="ok/{{ object.stem }}.ok").done_file(item("raw/x/a.csv"), {}) == "raw/x/ok/a.ok"


@pytest.mark.parametrize("name", ["{{ object.captures.up }}", "{{ object.captures.up }}/a", "{{ object.captures.no }}"])
def test_hostile_done_files(name: str) -> None:
    """A name that leads out of the folder, or is none, is an error."""
    with pytest.raises(ExpressionError, match="is not a name"):
        rules(doneFile=name).done_file(item(), {"up": "..", "no": ""})


def test_a_key_with_no_place_to_go_after_its_execution_is_refused_at_once() -> None:
    """Else the object would be processed, and then hang on its way to the quarantine for ever."""
    away = {"onFailure": {"moveTo": {"key": "q" * 1000}}}
    verdict = judge(item(f"raw/{'x' * 100}"), **away)
    assert (verdict.kind, verdict.rule) == (Kind.REFUSE, "moveTo")
    assert judge(item(), **away) == Verdict(Kind.TAKE)
