"""What came of one case of the corpus, and of all of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VERDICTS = ("passed", "failed", "differs", "outside")


@dataclass(frozen=True)
class Outcome:
    """``passed``, ``failed``, ``differs`` as is known, or ``outside`` of what can be judged here; with the reason."""

    case: str
    verdict: str
    reason: str = ""


Parts = Mapping[str, Sequence[Outcome]]
"""What was compared, by its name."""


def _rows(parts: Parts) -> list[tuple[str, ...]]:
    rows = []
    for name, outcomes in parts.items():
        counts = Counter(outcome.verdict for outcome in outcomes)
        judged = sum(counts.values()) - counts["outside"]
        share = f"{counts['passed'] / judged:.1%}" if judged else "-"
        rows.append((name, *(str(counts[verdict]) for verdict in VERDICTS), share))
    return rows


def _reasons(parts: Parts, verdict: str) -> list[tuple[str, str, int]]:
    counts = Counter((name, o.reason) for name, outcomes in parts.items() for o in outcomes if o.verdict == verdict)
    return [(name, reason, number) for (name, reason), number in sorted(counts.items())]


def as_text(parts: Parts) -> str:
    """Give the table for a terminal, with reasons, and each case that failed."""
    header = ("", *VERDICTS, "agreement")
    lines = [f"{row[0]:18}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in (header, *_rows(parts))]
    for verdict in ("differs", "outside"):
        lines += ["", *(f"{name}, {verdict}: {number:3} {reason}" for name, reason, number in _reasons(parts, verdict))]
    failed = [(name, o) for name, outcomes in parts.items() for o in outcomes if o.verdict == "failed"]
    return "\n".join([*lines, "", *(f"FAILED {name}: {o.case}: {o.reason}" for name, o in failed)])


def as_table(parts: Parts) -> str:
    """Give the table for a page."""
    rows = [("", *VERDICTS, "agreement"), ("---",) * (len(VERDICTS) + 2), *_rows(parts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_list(parts: Parts) -> str:
    """Give what is known to differ, and what is outside, for a page."""
    words = {"differs": "differ", "outside": "outside"}
    return "\n".join(
        f"- {name}, {number} {words[verdict]}: {reason}."
        for verdict in words
        for name, reason, number in _reasons(parts, verdict)
    )
