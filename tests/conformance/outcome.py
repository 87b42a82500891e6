"""What came of one case of the corpus."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """``passed``, ``failed``, ``differs`` as is known, or ``outside`` of what can be judged here; with the reason."""

    case: str
    verdict: str
    reason: str = ""
