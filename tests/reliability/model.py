"""
A model of custody, searched to its end: one key, uploads of others, crashes at every step, and requests of a dead
process that the store still carries out late. Each weakened protocol breaks the invariant it is known to break.

The model steps where the world can tell: at the effect of each request and at each commit of the journal. One process
owns the journal, as now. Looking at the bucket and working on a claim go on beside each other, as in the daemon.
Limits: one key, a store that is linearisable, few uploads and crashes. It checks the design; `reliability.schedules`
drives the real daemon through what it generates.
"""

from collections import deque
from dataclasses import dataclass, replace

from reliability.experiment import Figure, Scale, Setting
from reliability.model_protocol import Broken, Flaw, Rules, State, at_rest, moves, neglected


@dataclass(frozen=True, slots=True)
class Search:
    """How many states there are, and the first way to each invariant that does not hold."""

    states: int
    broken: dict[Broken, tuple[str, ...]]


def search(rules: Rules) -> Search:
    """Go through every state that *rules* lead to, breadth first."""
    first = State(uploads=rules.uploads, crashes=rules.crashes, removals=rules.removals)
    came: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    broken: dict[Broken, tuple[str, ...]] = {}
    while waiting:
        state = waiting.popleft()
        if at_rest(state) and (fault := neglected(rules, state)):
            broken.setdefault(fault, _way(came, state))
        for label, following, fault in moves(rules, state):
            if fault:
                broken.setdefault(fault, (*_way(came, state), label))
            if following not in came:
                came[following] = (state, label)
                waiting.append(following)
    return Search(len(came), broken)


def _way(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    while (step := came[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))


SOUND = (
    *(Rules("MOVE", removal, identical=removal == "version") for removal in ("if-match", "version")),
    *(Rules("DELETE", removal, identical=removal == "version") for removal in ("if-match", "version")),
    *(Rules(action, batch=True) for action in ("MOVE", "DELETE", "NONE", "TAG")),
    *(Rules(action, identical=True) for action in ("NONE", "TAG")),
)
WEAK = {
    Rules("DELETE", "if-match", identical=True): Broken.RECORD,
    Rules("DELETE", "look"): Broken.BYTES,
    Rules("DELETE", "blind"): Broken.BYTES,
    Rules("MOVE", flaw=Flaw.OVERWRITES): Broken.OVERWRITTEN,
    Rules("NONE", flaw=Flaw.FINAL_CLAIM): Broken.STUCK,
    Rules("DELETE", batch=True, flaw=Flaw.NO_GATE): Broken.UNBORN,
    Rules("DELETE", flaw=Flaw.LATE_EXECUTION): Broken.SKIPPED,
    Rules("NONE", identical=True, flaw=Flaw.ETAG_ONLY): Broken.STUCK,
}
_BUDGETS = {Scale.SHORT: (2, 2, 1), Scale.FULL: (3, 3, 2), Scale.LONG: (4, 3, 2)}


async def model(setting: Setting) -> list[Figure]:
    """Search the protocol as it is, and each weakened one."""
    uploads, crashes, removals = _BUDGETS[setting.scale]

    def searched(rules: Rules) -> Search:
        return search(replace(rules, uploads=uploads, crashes=crashes, removals=removals))

    sound = {rules: searched(rules) for rules in SOUND}
    weak = {rules: searched(rules) for rules in WEAK}
    return [_soundness(sound), *(_weakness(rules, found) for rules, found in weak.items())]


def _soundness(found: dict[Rules, Search]) -> Figure:
    wrong = {str(rules): search.broken for rules, search in found.items() if search.broken}
    states = sum(search.states for search in found.values())
    return Figure(
        "model: states of the protocol that break an invariant",
        "0",
        f"0 of {states:,} states, {len(found)} configurations" if not wrong else f"{len(wrong)} configurations",
        met=not wrong,
        detail={"states": {str(rules): search.states for rules, search in found.items()}, "broken": wrong},
    )


def _weakness(rules: Rules, found: Search) -> Figure:
    expected = WEAK[rules]
    return Figure(
        f"control, model: {rules}",
        expected.value,
        f"seen, in {found.states:,} states" if expected in found.broken else "not seen",
        met=expected in found.broken,
        control=True,
        detail={"way": found.broken.get(expected, ()), "also": [fault for fault in found.broken if fault != expected]},
    )
