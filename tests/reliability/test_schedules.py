"""What the model generates, and the real daemon on it."""

import pytest
from reliability.experiment import Setting
from reliability.model_schedules import Ending, Event, schedules_of
from reliability.schedules import schedules


async def test_the_daemon_ends_as_the_model_does(setting: Setting) -> None:
    """Held, overtaken by a writer and killed where the model says; a daemon that deletes blindly is found out."""
    assert [figure for figure in await schedules(setting) if not figure.met] == [], setting


@pytest.mark.parametrize(
    ("action", "events", "ending"),
    [
        ("DELETE", [("before GET", "upload b")], ("", (), ("b",))),
        ("DELETE", [("before DELETE", "upload b")], ("", (), ("a", "b"))),
        ("MOVE", [("before COPY", "upload b"), ("after COPY", "crash")], ("", ("a", "b"), ("a", "b"))),
        ("MOVE", [("after LIST", "crash"), ("down", "remove")], ("", (), ())),
        ("NONE", [("after GET", "crash"), ("before GET", "upload b")], ("b", (), ("b",))),
        ("TAG", [("before TAG", "crash"), ("before TAG", "remove")], ("", (), ("a",))),
    ],
)
def test_endings_of_a_schedule(action: str, events: list[tuple[str, str]], ending: tuple) -> None:
    """The model allows the one ending in which whatever was read has its execution."""
    assert schedules_of(action)[tuple(Event(*event) for event in events)] == {Ending(*ending)}


@pytest.mark.parametrize("action", ["MOVE", "DELETE", "NONE"])
def test_every_step_meets_every_event(action: str) -> None:
    """At each place that a daemon can be held, somebody overwrites, somebody removes, and it is killed."""
    met = {event for schedule in schedules_of(action) for event in schedule}
    places = {event.place for event in met} - {"before LIST", "down"}
    missing = {Event(place, what) for place in places for what in ("upload b", "remove", "crash")} - met
    assert len(places) == {"MOVE": 7, "DELETE": 5, "NONE": 3}[action]
    assert missing <= {Event("after DELETE", "remove")}  # there is nothing left to remove
