"""Ids, times and states: pure data."""

import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from tidewaiter.daemon.records import (
    ExecutionState,
    TaskRunState,
    TriggerKey,
    execution_id,
    new_id,
    parse_timestamp,
    storable,
    task_run_id,
    timestamp,
)


def test_a_new_id_is_never_the_same() -> None:
    """26 characters of Crockford's alphabet: safe as a file name, easy to read out."""
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(identifier) for identifier in made} == {26}
    assert set("".join(made)) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_ids_sort_by_the_time_they_were_made() -> None:
    """What was made later sorts later."""
    made = []
    for _ in range(50):
        started = time.time_ns()
        made.append(new_id())
        while time.time_ns() == started:
            pass
    assert made == sorted(made)


def test_a_batch_has_always_the_same_execution() -> None:
    """The id follows from the batch, so that it can be made again after any loss."""
    assert execution_id("B1") == execution_id("B1") != execution_id("B2")
    assert str(uuid.UUID(execution_id("B1"))) == execution_id("B1")


def test_a_task_run_id_tells_executions_and_paths_apart() -> None:
    """No two task runs that are alive at once share an id."""
    assert len({task_run_id("e1", "a"), task_run_id("e1", "a/b"), task_run_id("e2", "a")}) == 3


def test_timestamps_are_utc_text_that_sorts_by_time() -> None:
    """Another zone is the same moment; microseconds are always written."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-01-02T01:04:05.000000Z"
    assert parse_timestamp(timestamp(moment)) == moment


def test_a_trigger_key_reads_back() -> None:
    """Text and key are the same thing."""
    key = TriggerKey("a.b", "flow", "trigger")
    assert (str(key), TriggerKey.parse(str(key)), key.flow_path) == ("a.b/flow/trigger", key, "a.b.flow")


@pytest.mark.parametrize(
    ("text", "meant"), [("a.b/f/t", True), ("a.b.f/t", True), ("f/t", True), ("t", False), ("b/f/t", False)]
)
def test_what_a_user_may_call_a_trigger(text: str, meant: bool) -> None:
    """The namespace may be left out, the flow may not."""
    assert TriggerKey("a.b", "f", "t").answers_to(text) is meant


def test_which_states_are_ends() -> None:
    """What waits or runs has not ended; an interrupted or retried attempt leaves its task to the next one."""
    assert [state.value for state in ExecutionState if not state.ended] == ["CREATED", "RUNNING", "PAUSED"]
    live = ["RUNNING", "INTERRUPTED", "RETRYING", "RETRIED"]
    assert [state.value for state in TaskRunState if not state.ended] == live


@pytest.mark.parametrize("text", ["", "plain", "é\U0001f6a2", "\ud83d\ude80", "a\ud800b", "nul\0"])
def test_storable_text_can_be_encoded(text: str) -> None:
    """Whatever a program prints or JSON names can be written; proper text is not changed."""
    kept = storable(text)
    assert kept.encode().decode() == kept
    assert (kept == text) is not any("\ud800" <= character <= "\udfff" for character in text)
