"""
The protocol of custody as a machine of states and moves (reliability.md §3), for `reliability.model` to search.

Each move is the effect of one request, one commit of the journal, or something from outside.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Broken(StrEnum):
    """The invariants, by what it is called when one does not hold."""

    BYTES = "our DELETE removed content that was never read"
    UNBORN = "our DELETE removed content before its execution existed"
    RECORD = "our DELETE removed an identical upload that had no execution of its own"
    ARCHIVE = "our DELETE removed content that was not in the archive"
    OVERWRITTEN = "other content in the archive was overwritten"
    DOUBLED = "an upload has two executions"
    STUCK = "an upload lies at the key and never gets an execution"
    SKIPPED = "content was read and never gets an execution"


class Flaw(StrEnum):
    """A deliberate weakness of the protocol."""

    OVERWRITES = "the archive is overwritten"
    FINAL_CLAIM = "a claim counts as done after a restart"
    NO_GATE = "an object is settled while others of its batch are unread"
    LATE_EXECUTION = "the execution is created after the action"
    ETAG_ONLY = "an upload is known by its ETag alone"


_REMOVALS = {"if-match": "by If-Match", "version": "by version", "look": "after HEAD", "blind": "unconditionally"}


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What is modelled: the *action*; how sources are removed (``if-match``, ``version``, ``look`` before an unconditional
    DELETE, ``blind``); whether uploads may be *identical*; how many *uploads*, *crashes* and *removals* by others there
    are at most; whether the first claim shares its batch with another object; and which *flaw* there is, if any.
    """

    action: str
    removal: str = "if-match"
    identical: bool = False
    uploads: int = 3
    crashes: int = 3
    removals: int = 1
    batch: bool = False
    flaw: Flaw | None = None

    def __str__(self) -> str:
        removal = f" {_REMOVALS[self.removal]}" if self.action in {"MOVE", "DELETE"} else ""
        extras = [", identical uploads" * self.identical, ", batch of two" * self.batch]
        return f"{self.action}{removal}{''.join(extras)}" + (f": {self.flaw}" if self.flaw else "")


class Claim(NamedTuple):
    """The row of a live claim: its number, the upload that the listing showed, its state, the upload that was read."""

    number: int
    upload: int
    state: str
    kept: int = 0


class State(NamedTuple):
    """
    Everything there is. Uploads are numbered from 1; *contents* has the content of each. *source* is the upload at the
    key (0: none); *archive* maps names there to uploads.

    The journal: *claim*, how many claims there were and how many have *ended*, *seen*, the uploads *stored*, and
    for each execution the upload that the listing showed and the one that was read: identical if not the same. The
    process: whether it is *up*, what its *look* has shown, and the *step* of its work on the claim. The rest: what of a
    dead process is still under way (*late*), whether the *partner* of the batch is unread, and how many uploads,
    crashes and removals may still come.
    """

    contents: tuple[str, ...] = ()
    source: int = 0
    archive: tuple[tuple[str, int], ...] = ()
    claim: Claim | None = None
    claims: int = 0
    ended: int = 0
    seen: int = 0
    stored: tuple[int, ...] = ()
    executions: tuple[tuple[int, int], ...] = ()
    up: bool = True
    look: tuple[int, int] | None = None
    step: str = ""
    late: tuple[str, Claim] | None = None
    partner: bool = False
    uploads: int = 0
    crashes: int = 0
    removals: int = 0

    def content(self, upload: int) -> str:
        """Give the content of an upload; of none, nothing."""
        return self.contents[upload - 1] if upload else ""

    def executed(self, upload: int) -> bool:
        """Whether an execution stands for *upload*."""
        return any(upload in pair for pair in self.executions)

    def holds(self, claim: Claim) -> bool:
        """Whether the ETag at the key is that of *claim*."""
        return self.content(self.source) == self.content(claim.upload)


class Move(NamedTuple):
    """One step of the world: what it is called, what comes of it, and which invariant it broke."""

    label: str
    state: State
    broken: Broken | None = None


Moves = Iterator[Move]


def moves(rules: Rules, s: State) -> Moves:
    """Give everything that can happen next."""
    yield from _others(rules, s)
    yield from _arrives_late(rules, s)
    if not s.up:
        yield Move("start", _started(rules, s))
        return
    yield from _crashes(rules, s)
    yield from _looks(rules, s)
    if s.claim and s.step:
        yield from _STEPS[s.step](rules, s, s.claim)
    if s.claim and s.partner:
        yield _executed(rules, s._replace(partner=False), "commit: partner read")


def _others(rules: Rules, s: State) -> Moves:
    for content in "ab" if s.uploads else "":
        if rules.identical or content not in s.contents:
            upload = len(s.contents) + 1
            yield Move(
                f"upload {content}", s._replace(contents=(*s.contents, content), source=upload, uploads=s.uploads - 1)
            )

    if s.removals and s.source:
        yield Move("remove", s._replace(source=0, removals=s.removals - 1))


def _crashes(rules: Rules, s: State) -> Moves:
    """The process ends; a request it had just sent may still be under way."""
    if not s.crashes or (not s.look and not s.claim):
        return
    dead = s._replace(up=False, look=None, step="", crashes=s.crashes - 1)
    yield Move("crash", dead)
    if (
        s.claim
        and s.step in {"stored", "copied", "looked"}
        and rules.action in {"MOVE", "DELETE"}
        and not _waits(rules, s)
    ):
        request = "COPY" if s.step == "stored" and rules.action == "MOVE" else "DELETE"
        yield Move("crash, request under way", dead._replace(late=(request, s.claim)))


def _started(rules: Rules, s: State) -> State:
    """Recovery is the same work entered at the row's state."""
    steps = {"CLAIMED": "claimed", "STORED": "stored", "COPIED": "copied"}
    over = s.claim and (s.claim.state == "DONE" or (s.claim.state == "CLAIMED" and rules.flaw is Flaw.FINAL_CLAIM))
    if over:
        return _ended(s._replace(up=True))
    return s._replace(up=True, step=steps[s.claim.state] if s.claim else "")


def _arrives_late(rules: Rules, s: State) -> Moves:
    if not s.late:
        return
    request, claim = s.late
    gone = s._replace(late=None)
    if request == "COPY" and s.holds(claim):
        yield Move("late COPY", *_archived(rules, gone, claim, s.source))
    elif request == "COPY":
        yield Move("late COPY refused", gone)
    else:
        yield from _delete(rules, gone, claim, "late ", gone.step, gone.step)


def _looks(rules: Rules, s: State) -> Moves:
    if s.look is None:
        if s.source:
            yield Move("LIST", s._replace(look=(s.source, s.ended)))
        return
    upload, ended = s.look
    done = s._replace(look=None)
    if s.claim or s.ended != ended or _known(rules, s, upload):
        yield Move("nothing new", done)
    else:
        claim = Claim(s.claims + 1, upload, "CLAIMED")
        partner = rules.batch and not s.claims
        yield Move(
            "commit: claimed",
            done._replace(claim=claim, claims=s.claims + 1, seen=upload, step="claimed", partner=partner),
        )


def _known(rules: Rules, s: State, upload: int) -> bool:
    if rules.flaw is Flaw.ETAG_ONLY:
        return bool(s.seen) and s.content(s.seen) == s.content(upload)
    return s.seen == upload


def _get(_rules: Rules, s: State, claim: Claim) -> Moves:
    if not s.source:
        yield Move("GET 404", s._replace(step="unread"))
    elif s.holds(claim):
        yield Move("GET", s._replace(claim=claim._replace(kept=s.source), step="read"))
    else:
        yield Move("GET 412", s._replace(step="unread"))


def _close(rules: Rules, s: State, _claim: Claim) -> Moves:
    """The claim ends unread, and leaves its batch to the others."""
    yield Move("commit: superseded or gone", _ended(s._replace(seen=0, partner=False)))


def _store(rules: Rules, s: State, claim: Claim) -> Moves:
    stored = s._replace(claim=claim._replace(state="STORED"), step="stored", stored=(*s.stored, claim.kept))
    yield _executed(rules, stored, "commit: stored")


def _executed(rules: Rules, s: State, label: str) -> Move:
    """Create the execution with the last object of the batch that is stored; without an action the claim ends."""
    claim = s.claim
    if claim is None or claim.state == "CLAIMED" or s.partner or rules.flaw is Flaw.LATE_EXECUTION:
        return Move(label, s)
    s, broken = _execution(s, claim)
    return Move(label, _ended(s) if rules.action == "NONE" else s, broken)


def _execution(s: State, claim: Claim) -> tuple[State, Broken | None]:
    broken = Broken.DOUBLED if claim.upload in (shown for shown, _ in s.executions) else None
    return s._replace(executions=(*s.executions, (claim.upload, claim.kept))), broken


def _act(rules: Rules, s: State, claim: Claim) -> Moves:
    if _waits(rules, s):
        return
    if rules.action == "MOVE":
        kept = s.source if s.holds(claim) else claim.kept  # a COPY, or else an upload of our own file
        state, broken = _archived(rules, s, claim, kept)
        yield Move("COPY", state._replace(step="put"), broken)
    elif rules.action == "DELETE":
        yield from _remove(rules, s, claim)
    else:
        yield Move("PUT tags", s._replace(step="settled"))


def _waits(rules: Rules, s: State) -> bool:
    return s.partner and rules.flaw is not Flaw.NO_GATE


def _archived(rules: Rules, s: State, claim: Claim, upload: int) -> tuple[State, Broken | None]:
    """Put *upload* under its name, or beside other content that is there already (If-None-Match)."""
    there = dict(s.archive)
    name = "key" if "key" not in there or s.content(there["key"]) == s.content(upload) else f"key~{claim.number}"
    if rules.flaw is Flaw.OVERWRITES:
        name = "key"
    other = name in there and s.content(there[name]) != s.content(upload)
    archive = tuple(sorted({**there, name: upload}.items()))
    return s._replace(archive=archive), Broken.OVERWRITTEN if other else None


def _copied(_rules: Rules, s: State, claim: Claim) -> Moves:
    yield Move("commit: copied", s._replace(claim=claim._replace(state="COPIED"), step="copied"))


def _remove(rules: Rules, s: State, claim: Claim) -> Moves:
    if rules.removal == "look":
        yield Move("HEAD", s._replace(step="looked" if s.source and s.holds(claim) else "settled"))
    else:
        yield from _delete(rules, s, claim, "", "settled", "removed")


def _delete_unconditionally(rules: Rules, s: State, claim: Claim) -> Moves:
    yield from _delete(rules, s, claim, "", "removed", "removed")


def _delete(rules: Rules, s: State, claim: Claim, when: str, spared: str, removed: str) -> Moves:
    """The DELETE takes effect; the process goes on at *spared* or *removed*."""
    meant = {"if-match": s.holds(claim), "version": s.source == claim.kept}.get(rules.removal, True)
    if s.source and meant:
        yield Move(f"{when}DELETE", s._replace(source=0, step=removed), _harm(rules, s, claim))
    else:
        there = s.source and rules.removal == "if-match"
        yield Move(f"{when}DELETE without effect", s._replace(step=spared if there else removed))


def _harm(rules: Rules, s: State, claim: Claim) -> Broken | None:
    """Judge the removal of what is at the key now."""
    content = s.content(s.source)
    if not s.executed(s.source):
        if any(s.content(kept) == content for _, kept in s.executions):
            return Broken.RECORD
        return Broken.UNBORN if claim.kept == s.source else Broken.BYTES
    if rules.action == "MOVE" and all(s.content(upload) != content for _, upload in s.archive):
        return Broken.ARCHIVE
    return None


def _settled(rules: Rules, s: State, claim: Claim) -> Moves:
    yield Move("commit: done", _done(rules, s, claim))


def _forgotten(rules: Rules, s: State, claim: Claim) -> Moves:
    yield Move("commit: done", _done(rules, s._replace(seen=0), claim))


def _done(rules: Rules, s: State, claim: Claim) -> State:
    if rules.flaw is Flaw.LATE_EXECUTION:
        return s._replace(claim=claim._replace(state="DONE"), step="owing")
    return _ended(s)


def _owing(_rules: Rules, s: State, claim: Claim) -> Moves:
    state, broken = _execution(s, claim)
    yield Move("commit: execution", _ended(state), broken)


def _ended(s: State) -> State:
    return s._replace(claim=None, ended=s.ended + 1, step="")


_STEPS: dict[str, Callable[[Rules, State, Claim], Moves]] = {
    "claimed": _get,
    "unread": _close,
    "read": _store,
    "stored": _act,
    "put": _copied,
    "copied": _remove,
    "looked": _delete_unconditionally,
    "settled": _settled,
    "removed": _forgotten,
    "owing": _owing,
}


def at_rest(s: State) -> bool:
    """Whether nothing is being done."""
    return s.up and not s.look and not s.claim


def nothing_new(rules: Rules, s: State) -> bool:
    """Whether a look would find nothing to do."""
    return not s.source or _known(rules, s, s.source)


def neglected(rules: Rules, s: State) -> Broken | None:
    """Judge a state at rest: what will never be done."""
    if not all(map(s.executed, s.stored)):
        return Broken.SKIPPED
    if s.source and nothing_new(rules, s) and not s.executed(s.source):
        return Broken.STUCK
    return None
