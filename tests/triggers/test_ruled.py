"""Arrival rules as an author writes them, and what is said, and where, of rules that do not fit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.spec import ObjectTemplate
from tidewaiter.daemon.flows import parse_flow
from tidewaiter.triggers.s3 import BucketTrigger

FLOW = """\
id: f
namespace: demo
tasks: [{id: t, type: log.Log, message: x}]
triggers:
  - id: t
    type: aws.s3.Trigger
    bucket: b-1
    action: NONE
"""


def load(properties: str) -> BucketTrigger:
    lines = "".join(f"    {line}\n" for line in properties.splitlines())
    return parse_flow(FLOW + lines, "f.yaml", Expressions()).triggers[0]


def test_all_of_them() -> None:
    """Every rule in the form in which people write it."""
    spec = load(
        "include: ['*.csv']\nexclude: '*.tmp'\npattern: 'raw/{who}/{day:%Y%m%d}.csv'\nminAge: PT10S\nmaxAge: P7D\n"
        "minSize: 1\nmaxSize: 10 MiB\nstorageClass: [STANDARD]\nwhen: '{{ object.size > 3 }}'\n"
        "initial: since:2026-05-01\norder: lastModified\ngroupBy: who\nminObjects: 3\nquietFor: PT1M"
    )
    assert (spec.include, spec.exclude, spec.max_size) == (("*.csv",), ("*.tmp",), 10 << 20)
    assert (spec.min_age, spec.when) == (timedelta(seconds=10), ObjectTemplate("{{ object.size > 3 }}"))
    assert spec.since == datetime(2026, 5, 1, tzinfo=UTC)
    assert spec.in_sets


def test_none_of_them() -> None:
    """Without rules a trigger takes whatever arrives, one by one."""
    spec = load("")
    assert not spec.in_sets
    assert (spec.order, spec.initial, spec.since, spec.when) == ("key", "process", None, None)


@pytest.mark.parametrize(
    ("properties", "place", "message"),
    [
        ("pattern: 'raw/{x'", "9:14", "property 'pattern': is not a pattern: there is a stray '{' at character 5"),
        ("include: ['[a']", "9:15", "glob '[a' has a '[' that is not complete"),
        ("exclude: '{a'", "9:14", "glob '{a' has a '{' without '}'"),
        ("minSize: lots", "9:14", "'lots' is not a size, for example 100, 5 MB or 10 MiB"),
        ("minSize: 2 KiB\nmaxSize: 1 KiB", "9:14", "property 'minSize': 2 KiB is more than maxSize 1 KiB"),
        ("minAge: P2D\nmaxAge: P1D", "9:13", "property 'minAge': is not shorter than maxAge"),
        ("minAge: soon", "9:13", "'soon' is not an ISO-8601 duration"),
        ("groupBy: who", "9:14", "property 'groupBy': groups by a capture, and there is no pattern to capture one"),
        ("pattern: '{a}'\ngroupBy: who", "10:14", "property 'groupBy': there is no capture 'who' (captures: a)"),
        ("regexp: '(?<a>.*)'\ngroupBy: who", "10:14", "property 'groupBy': there is no capture 'who' (captures: a)"),
        (
            "doneFile: ok\nmanifest: '*.m'",
            "10:15",
            "property 'manifest': cannot go with doneFile (a set has one marker",
        ),
        ("pattern: '{a}'\ngroupBy: a\ndoneFile: ok", "10:14", "property 'groupBy': cannot go with doneFile"),
        ("minObjects: 26", "9:17", "property 'minObjects': 26 never fit into a batch of 25 (raise maxFiles)"),
        ("minObjects: 6\nmaxKeys: 5", "9:17", "property 'minObjects': 6 never fit into a batch of 5 (raise maxKeys)"),
        ("minObjects: 0", "9:17", "property 'minObjects': should be greater than or equal to 1"),
        ("initial: later", "9:14", "must be process, skip or since:<time>"),
        ("initial: since:later", "9:14", "must be process, skip or since:<time>"),
        ("when: object.size > 3", "9:11", "property 'when': has no expression; write {{ object.size > 0 }}"),
        ("when: '{{ object.size > }}'", "9:11", ""),
        ("doneFile: /ok", "9:15", "must be a name relative to the object's folder"),
        ("order: size", "9:12", "should be 'key' or 'lastModified'"),
        (
            "preservePath: true\nmoveTo: {key: a, name: b}",
            "9:19",
            "property 'preservePath': cannot go with moveTo.name",
        ),
    ],
)
def test_mistakes(properties: str, place: str, message: str) -> None:
    """Each is told with its place, why, and what to do."""
    with pytest.raises(ConfigError) as caught:
        load(properties)
    [problem] = caught.value.problems
    assert f"{problem.line}:{problem.column}" == place
    assert message in str(problem)


def test_a_marker_needs_no_large_batch() -> None:
    """The objects of a marker are counted as a set, which may take several executions."""
    assert load("minObjects: 100\ndoneFile: ok").min_objects == 100


def test_limits_may_be_expressions() -> None:
    """What is not known yet is checked when it is."""
    assert load("minObjects: 100\nmaxFiles: '{{ vars.n }}'").min_objects == 100


def test_what_may_differ_for_each_object() -> None:
    """Destination, condition and done file may look at the object; the rest of a destination is known before."""
    spec = load(
        "moveTo: {key: 'a/{{ object.captures.x }}/b', name: '{{ object.stem }}'}\ndoneFile: '{{ object.name }}.ok'"
    )
    assert spec.move_to is not None
    assert isinstance(spec.move_to.name, ObjectTemplate)
    assert isinstance(spec.done_file, ObjectTemplate)
    assert spec.move_to.folder == "a/"


@pytest.mark.parametrize("value", [True, "true", "{{ vars.on }}"])
def test_a_condition_need_not_look_at_the_object(value: Any) -> None:
    """Kestra's condition of a trigger works, and its default is harmless."""
    assert load(f"when: {value!r}".replace("True", "true")).when is not None
