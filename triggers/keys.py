"""What an object key tells: whether a pattern means it, and whether it is safe to move. Keys are untrusted."""

import re

PROBE_MARK = ".tidewaiter-probe-"
"""How the names of our own probe objects begin; 16 hexadecimal digits follow."""

_PROBE = re.compile(rf"(?:^|/){re.escape(PROBE_MARK)}[0-9a-f]{{16}}(?:-copy|-keys/.*)?\Z", re.DOTALL)

_NAMED_GROUP = re.compile(r"(?<!\\)((?:\\\\)*)\(\?<(?![=!])")
_NAMED_REFERENCE = re.compile(r"(?<!\\)((?:\\\\)*)\\k<(\w+)>")
_SEPARATOR = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LITERAL = r"(?:[\w/~=@%,:;!& -]|\\[^\w])"
_HEAD = re.compile(rf"\^?({_LITERAL}*)")
_TAIL = re.compile(rf"(?<!\\)({_LITERAL}*)\$?\Z")
# Left out before looking for a choice at the top of a pattern: escapes, classes, and groups from the inside out.
_INNER = re.compile(r"\\.|\[[^\]]*\]|\([^()]*\)")


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


def literal_ends(source: str) -> tuple[str, str]:
    """
    Give text that every match of a Java regular expression begins with, and text that it ends with: of ``raw/.*_done``
    these are ``raw/`` and ``_done``. Empty where that cannot be told cheaply.
    """
    outer = source
    while outer != (outer := _INNER.sub("", outer)):
        pass
    if "|" in outer or re.search(r"\(\?[A-Za-z-]|\\Q", source):
        return "", ""
    found = _HEAD.match(source)
    head = found[1] if found else ""
    if found and source[found.end() : found.end() + 1] in {"*", "+", "?", "{"}:
        head = re.sub(rf"{_LITERAL}\Z", "", head)
    tail = _TAIL.search(source)
    return _unescaped(head), _unescaped(tail[1] if tail else "")


def _unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal)


def basename(key: str) -> str:
    """Give what follows the last ``/`` of *key*; empty for the key of a folder marker."""
    return key.rpartition("/")[2]


def folder_of(key: str) -> str:
    """Give *key* up to its last ``/``, with it; empty at the top of the bucket."""
    return key[: key.rfind("/") + 1]


def below(prefix: str, key: str) -> str:
    """Give *key* without the folder of *prefix*: below ``raw/2026`` the key ``raw/2026/a/x`` is ``2026/a/x``."""
    return key.removeprefix(folder_of(prefix))


def is_probe(key: str) -> bool:
    """Tell whether *key* is one of our own probe objects."""
    return bool(_PROBE.search(key))


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
