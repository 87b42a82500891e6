"""The ``::{…}::`` lines of programs."""

import pytest

from tidewaiter.tasks.outputs import Report, merged, parse


@pytest.mark.parametrize("line", ["", "hello", "::", "::{}", "{}::", " ::{}::", "::{}:: ", "x ::{}::", "::[1]::"])
def test_ordinary_lines(line):
    """Only a line that is ``::{…}::`` from end to end says something to Tidewaiter."""
    assert parse(line) is None


def test_outputs():
    """Outputs are taken with their JSON types."""
    report = parse('::{"outputs": {"rows": 3, "ok": true, "name": "ü", "none": null}}::')

    assert Report(outputs={"rows": 3, "ok": True, "name": "ü", "none": None}) == report


def test_later_outputs_win():
    """Outputs of several lines are merged, the later value of a key replacing the earlier."""
    reports = [parse('::{"outputs": {"a": 1, "b": 1}}::'), parse('::{"outputs": {"b": 2}}::')]

    assert merged(reports) == {"a": 1, "b": 2}


def test_metrics():
    """Metrics are taken as they are."""
    metric = {"name": "rows", "type": "counter", "value": 3, "tags": {"a": "b"}}

    assert (metric,) == parse('::{"metrics": [{"name":"rows","type":"counter","value":3,"tags":{"a":"b"}}]}::').metrics


@pytest.mark.parametrize(
    ("written", "level"),
    [("INFO", "INFO"), ("warning", "WARN"), ("WARN", "WARN"), ("CRITICAL", "ERROR"), ("odd", "INFO")],
)
def test_log_levels(written, level):
    """The levels of other logging libraries are understood; an unknown one is INFO."""
    assert ((level, "m"),) == parse(f'::{{"logs": [{{"level": "{written}", "message": "m"}}]}}::').logs


@pytest.mark.parametrize(
    "line",
    [
        "::{not json}::",
        '::{"outputs": [1]}::',
        '::{"logs": {"a": 1}}::',
        '::{"metrics": [1]}::',
        '::{"outputs": {"a": NaN}}::',
        "::{" + '"a":[' * 100_000 + "}::",
    ],
)
def test_lines_not_understood(line):
    """A line that is meant for Tidewaiter but malformed becomes a warning, not an output and not an error."""
    report = parse(line)

    assert (report.outputs, [level for level, _ in report.logs]) == ({}, ["WARN"])


def test_unknown_key():
    """An unknown key is warned of; what is known beside it counts."""
    report = parse('::{"outputs": {"a": 1}, "output": {"b": 2}}::')

    assert (report.outputs, len(report.logs)) == ({"a": 1}, 1)
