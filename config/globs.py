"""Java NIO globs (kestra.md §1.8), translated so that no path, however hostile, makes matching slow."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_ALTERNATIVES = 256

_TOKEN = re.compile(r"\*\**|\[(?P<not>!?)(?P<set>[^\]/]+)\]|\\(?P<escaped>.)|.", re.DOTALL)
_STAR, _ANY = "*", "**"


@dataclass(frozen=True, slots=True)
class _One:
    """Exactly one character, as a regular expression says."""

    expression: str


_Item = _One | str
_Items = tuple[_Item, ...]


def compile_glob(pattern: str) -> re.Pattern[str]:
    r"""
    Turn a glob of java.nio.file.FileSystem.getPathMatcher into an expression that must match a whole path.

    ``*`` and ``?`` stay within one name, ``**`` crosses ``/``; ``{a,b}``, ``[a-z]``, ``[!a]`` and ``\`` are as there.
    A leading dot is nothing special. ``**/x`` wants a ``/`` and so misses a top-level ``x``. Matching takes at most the
    square of a path's length, however many stars there are.

    Raises:
        ValueError: the pattern ends inside a group, a bracket or an escape, nests groups, has a reversed range, or
            stands for more than `MAX_ALTERNATIVES` globs without groups.
    """
    parts = list(_parts(pattern))
    alternatives = list(itertools.islice(itertools.product(*parts), MAX_ALTERNATIVES + 1))
    if len(alternatives) > MAX_ALTERNATIVES:
        raise ValueError(f"glob '{pattern}' stands for more than {MAX_ALTERNATIVES} globs")
    expressions = [_expression(tuple(itertools.chain(*alternative))) for alternative in alternatives]
    try:
        return re.compile("|".join(f"(?:{expression})" for expression in expressions), re.DOTALL)
    except re.error as error:
        raise ValueError(f"glob '{pattern}' has a bad '[…]': {error}") from error


def _parts(pattern: str) -> Iterator[list[_Items]]:
    """Cut *pattern* into parts, each with its alternatives: several for a group, else one."""
    group: list[_Items] | None = None
    for token in _TOKEN.finditer(pattern):
        if token[0] == "{":
            if group is not None:
                raise ValueError(f"glob '{pattern}' has a group inside a group")
            group = [()]
        elif group is None:
            yield [(_item(token),)]
        elif token[0] == ",":
            group.append(())
        elif token[0] == "}":
            yield group
            group = None
        else:
            group[-1] = (*group[-1], _item(token))
    if group is not None:
        raise ValueError(f"glob '{pattern}' has a '{{' without '}}'")


def _item(token: re.Match[str]) -> _Item:
    if token["set"]:
        inside = re.sub(r"([\\\[^&~|])", r"\\\1", token["set"])
        return _One(f"(?!/)[{'^' if token['not'] else ''}{inside}]")
    if token["escaped"]:
        return _One(re.escape(token["escaped"]))
    if token[0] in {"[", "\\"}:
        raise ValueError(f"glob '{token.string}' has a '{token[0]}' that is not complete")
    if token[0] == "?":
        return _One("[^/]")
    return token[0][:2] if token[0][0] == "*" else _One(re.escape(token[0]))


def _expression(items: _Items) -> str:
    """
    Let each star take as little as it can and never look back: what follows it up to the next star has a fixed length,
    so an earlier end leaves every later choice open. Only the last star must reach the end, and may try again.
    """
    first, *others = _split(items, _ANY)
    if not others:
        return _stretch(first, last=True)
    *middle, end = others
    crossing = "".join(f"(?>.*?{_stretch(stretch, last=False)})" for stretch in middle)
    return f"{_stretch(first, last=False)}{crossing}.*?{_stretch(end, last=True)}"


def _stretch(items: _Items, *, last: bool) -> str:
    """Translate what lies between two ``**``."""
    first, *others = (
        "".join(item.expression for item in chunk if isinstance(item, _One)) for chunk in _split(items, _STAR)
    )
    end = f"[^/]*{others.pop()}" if last and others else ""
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in others) + end


def _split(items: _Items, separator: str) -> list[_Items]:
    found: list[list[_Item]] = [[]]
    for item in items:
        if item == separator:
            found.append([])
        else:
            found[-1].append(item)
    return [tuple(chunk) for chunk in found]
