"""What an object key tells: whether a pattern means it, and whether it is safe to move. Keys are untrusted."""

import re

PROBE_MARK = ".tidewaiter-probe-"
"""How the last part of the key of our own probe objects begins."""

_NAMED_GROUP = re.compile(r"(?<!\\)((?:\\\\)*)\(\?<(?![=!])")
_NAMED_REFERENCE = re.compile(r"(?<!\\)((?:\\\\)*)\\k<(\w+)>")
_SEPARATOR = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def java_pattern(source: str) -> re.Pattern[str]:
    """
    Compile a Java regular expression; named groups and references to them are respelled, the rest is alike in both
    languages.

    Raises:
        re.error: the expression is wrong, or uses what only Java knows (``[a&&b]``, Unicode classes).
    """
    spelled = _NAMED_REFERENCE.sub(r"\1(?P=\2)", _NAMED_GROUP.sub(r"\1(?P<", source))
    if re.search(r"(?<!\\)&&", spelled):
        raise re.error("intersections of character classes (&&) are not supported", source)
    return re.compile(spelled)


def basename(key: str) -> str:
    """Give what follows the last ``/`` of *key*; empty for the key of a folder marker."""
    return key.rpartition("/")[2]


def is_probe(key: str) -> bool:
    """Tell whether *key* is one of our own probe objects."""
    return basename(key).startswith(PROBE_MARK)


def danger(key: str) -> str | None:
    """
    Say why a request that changes *key* might hit something else, None if it cannot.

    A proxy that normalises paths turns ``a/../b`` into another key, or another bucket (reliability.md §2.3); control
    characters do not survive XML. Some stores take a backslash for a slash.
    """
    if any(part in {".", ".."} for part in _SEPARATOR.split(key)):
        return "its key has a '.' or '..' between slashes"
    if _CONTROL.search(key):
        return "its key has control characters"
    return None
