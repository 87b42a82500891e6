"""The daemon's own log: one record per line, secrets masked, nothing that takes over a terminal."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tidewaiter.daemon.logs import printable, set_up

HOSTILE = "a\nb\x1b[2J\u202e\u2028\r\x07z"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give back what the tests below set for the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_record_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level and time are always there, values keep their types; stdout stays free for data."""
    set_up("json", "info", str)
    structlog.get_logger("x").info("object_claimed", key="é", size=3)
    [record] = records(capsys)
    assert (record["event"], record["level"], record["key"], record["size"]) == ("object_claimed", "info", "é", 3)
    assert record["timestamp"].endswith("Z")


def test_hostile_text_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A key with line ends or escape codes is one record and comes back whole."""
    set_up("json", "info", str)
    structlog.get_logger().info("x", key=HOSTILE)
    _, err = capsys.readouterr()
    assert (len(err.splitlines()), "\x1b" in err, json.loads(err)["key"]) == (1, False, HOSTILE)


def test_on_a_console_hostile_text_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing moves the cursor or reorders text."""
    set_up("console", "info", str)
    structlog.get_logger().info("x", key=HOSTILE)
    _, err = capsys.readouterr()
    assert (len(err.splitlines()), any(sign in err for sign in "\x1b\u202e\u2028\r\x07")) == (1, False)


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_in_every_value(capsys: pytest.CaptureFixture[str], form: Any) -> None:
    """Wherever a secret is, also in a traceback."""
    set_up(form, "info", lambda text: text.replace("t0k3n", "***"))
    log = structlog.get_logger()
    log.info("event t0k3n", key="t0k3n")
    try:
        int("t0k3n")
    except ValueError:
        log.exception("crashed")
    _, err = capsys.readouterr()
    assert ("t0k3n" in err, err.count("***") >= 3) == (False, True)


def test_secrets_are_masked_inside_other_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A list or map is text in the end."""
    set_up("json", "info", lambda text: text.replace("t0k3n", "***"))
    structlog.get_logger().info("x", argv=["curl", "t0k3n"], env={"A": "t0k3n"})
    assert "t0k3n" not in capsys.readouterr().err


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_chooses(capsys: pytest.CaptureFixture[str], level: str, shown: int) -> None:
    """Lesser records are left out."""
    set_up("json", level, str)
    log = structlog.get_logger()
    for method in (log.debug, log.info, log.warning, log.error):
        method("x")
    assert len(records(capsys)) == shown


def test_the_ids_of_what_goes_on_are_added(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs inside an execution need not name it."""
    set_up("json", "info", str)
    with structlog.contextvars.bound_contextvars(execution="e1"):
        structlog.get_logger().info("x")
    assert records(capsys)[0]["execution"] == "e1"


def test_other_libraries_are_heard_only_when_they_warn() -> None:
    """Botocore at DEBUG would print credentials in headers."""
    set_up("json", "debug", str)
    assert not logging.getLogger("botocore").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("text", ["plain é \U0001f6a2", "two words", ""])
def test_printable_text_is_not_changed(text: str) -> None:
    """Only what does something to a terminal is escaped."""
    assert printable(text) == text


def test_what_a_terminal_would_obey_is_escaped() -> None:
    """It can still be told what was there."""
    assert printable("a\x1b[1m\u202eb") == r"a\x1b[1m\u202eb"
