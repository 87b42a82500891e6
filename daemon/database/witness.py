"""
The generation of the journal, kept outside of it too: beside the bytes in custody, which a restored journal does not
know of (reliability.md §3.4, C15).
"""

import os
from contextlib import suppress
from pathlib import Path

_DIGITS = 20


def seen(path: Path) -> int:
    """Give the number that the witness in the file *path* remembers; 0 where there is none that can be read."""
    try:
        text = path.read_bytes()[:_DIGITS]
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


class Witness:
    """
    Remembers in the file *path* the number of the last commit, so that an older copy of the journal is recognised.

    Written after each commit and not fsynced: after a power cut it may be behind the journal, never ahead of it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def remember(self, generation: int) -> None:
        """Note a commit. A failure is none of the journal's: the number before proves less, but nothing wrong."""
        with suppress(OSError):
            os.pwrite(self._descriptor, f"{generation:0{_DIGITS}d}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
