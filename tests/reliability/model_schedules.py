"""
Schedules that the model generates: what others and death do to one object, and at which step of the daemon; with every
ending that the model allows for it.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from reliability.model_protocol import Rules, State, at_rest, moves, nothing_new

DOWN = "down"
LATE = "crash, request under way"
_OUTSIDE = ("upload", "remove", "crash")
_PLACES = {"claimed": "before GET", "unread": "after GET", "read": "after GET", "put": "after COPY"}
_PLACES |= {"copied": "before DELETE", "removed": "after DELETE"}
# Uploads besides the first, crashes, removals.
_BUDGETS = ((1, 1, 0), (0, 1, 1), (0, 2, 0))


class Event(NamedTuple):
    """What happens from outside, and the place where the daemon is held meanwhile: before or after a request."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


Schedule = tuple[Event, ...]


class Ending(NamedTuple):
    """What can be seen in the end: the content at the key, in the archive, and in executions."""

    source: str
    archive: tuple[str, ...]
    executions: tuple[str, ...]


def schedules_of(action: str) -> Mapping[Schedule, frozenset[Ending]]:
    """Give every schedule around the first claim of an object with *action*, and the endings allowed."""
    found: dict[Schedule, set[Ending]] = {}
    for uploads, crashes, removals in _BUDGETS:
        first = State(contents=("a",), source=1, uploads=uploads, crashes=crashes, removals=removals)
        _follow(Rules(action), first, found)
    return {schedule: frozenset(endings) for schedule, endings in found.items() if schedule}


def _follow(rules: Rules, first: State, found: dict[Schedule, set[Ending]]) -> None:
    begin: tuple[State, Schedule] = (first, ())
    known = {begin}
    waiting = deque([begin])
    while waiting:
        state, schedule = waiting.popleft()
        if at_rest(state) and nothing_new(rules, state) and not state.late:
            found.setdefault(schedule, set()).add(_ending(state))
        for label, following, _ in moves(rules, state):
            outside = label.startswith(_OUTSIDE)
            if outside and not _around_first_claim(state):
                continue
            step = (following, (*schedule, Event(_place(rules, state), label)) if outside else schedule)
            if step not in known:
                known.add(step)
                waiting.append(step)


def _around_first_claim(state: State) -> bool:
    return state.claims == 0 or (state.claim is not None and state.claim.number == 1)


def _place(rules: Rules, state: State) -> str:
    """Name the point at which a proxy can hold a daemon that is in *state*."""
    if not state.up:
        return DOWN
    if state.claim is None:
        return "after LIST" if state.look else "before LIST"
    if state.step == "stored":
        return "before " + {"MOVE": "COPY", "TAG": "TAG"}.get(rules.action, "DELETE")
    if state.step == "settled":
        return "after TAG" if rules.action == "TAG" else "after DELETE"
    return _PLACES[state.step]


def _ending(state: State) -> Ending:
    archive = sorted(state.content(upload) for _, upload in state.archive)
    executions = sorted(state.content(kept) for _, kept in state.executions)
    return Ending(state.content(state.source), tuple(archive), tuple(executions))
