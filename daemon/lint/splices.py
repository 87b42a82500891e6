"""What an expression looks at, told from its tokens: enough for rules, without running anything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidewaiter.config.expression.lexer import Token, tokenize
from tidewaiter.config.expression.place import MisplacedError


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable with what is looked up in it: ``trigger.objects[0].key`` has the *names* trigger, objects, key."""

    names: tuple[str, ...]
    filters: tuple[str, ...]
    calls: tuple[str, ...]

    @property
    def root(self) -> str:
        """The variable's own name."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Splice:
    """One ``{{ }}`` or ``{% %}`` in a text, the *number*-th of them; *calls* and *filters* are those anywhere in it."""

    number: int
    source: str
    variables: tuple[Variable, ...]
    texts: tuple[str, ...]
    filters: tuple[str, ...]


def splices(text: str) -> Iterator[Splice]:
    """The expressions in *text*; none of one that cannot be parsed, which loading it tells."""
    if "{{" not in text and "{%" not in text:
        return
    try:
        tokens = tokenize(text)
    except MisplacedError:
        return
    openings = [index for index, token in enumerate(tokens) if token.kind in {"print", "tag"}]
    for opening in openings:
        closing = next(i for i in range(opening, len(tokens)) if tokens[i].kind in {"print_end", "tag_end"})
        inside = tokens[opening + 1 : closing]
        before = text[: tokens[opening].start]
        yield Splice(
            before.count("{{") + before.count("{%"),
            text[tokens[opening].start : tokens[closing].end],
            tuple(_variables(inside)),
            tuple(token.value for token in inside if token.kind == "string"),
            tuple(_filters(inside)),
        )


def _variables(tokens: Sequence[Token]) -> Iterator[Variable]:
    calls: list[tuple[str, int]] = []
    depth = 0
    for index, token in enumerate(tokens):
        after = _value(tokens, index + 1)
        if token.kind == "symbol":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
            calls = [call for call in calls if call[1] < depth]
        elif token.kind == "name" and after == "(":
            calls.append((token.value, depth))
        elif token.kind == "name" and _value(tokens, index - 1) not in {".", "|"} and after != "=":
            names, end = _members(tokens, index)
            yield Variable(names, tuple(_filters_from(tokens, end)), tuple(name for name, _ in calls))


def _members(tokens: Sequence[Token], index: int) -> tuple[tuple[str, ...], int]:
    """The names of a variable that begins at *index*, and where what belongs to it ends."""
    names = [tokens[index].value]
    index += 1
    while index < len(tokens) and _value(tokens, index) in {".", "["}:
        if _value(tokens, index) == "." and index + 1 < len(tokens):
            names.append(tokens[index + 1].value)
            index += 2
        else:
            end = _closing(tokens, index)
            inside = tokens[index + 1 : end]
            names += [inside[0].value] if len(inside) == 1 and inside[0].kind == "string" else []
            index = end + 1
    return tuple(names), index


def _closing(tokens: Sequence[Token], index: int) -> int:
    depth = 0
    for at in range(index, len(tokens)):
        depth += {"[": 1, "]": -1, "(": 1, ")": -1}.get(_value(tokens, at) or "", 0)
        if depth == 0:
            return at
    return len(tokens)


def _filters_from(tokens: Sequence[Token], index: int) -> Iterator[str]:
    """The filters that what ends before *index* goes through, one after another."""
    while _value(tokens, index) == "|" and index + 1 < len(tokens):
        yield tokens[index + 1].value
        index += 2
        if _value(tokens, index) == "(":
            index = _closing(tokens, index) + 1


def _filters(tokens: Sequence[Token]) -> Iterator[str]:
    yield from (tokens[i + 1].value for i in range(len(tokens) - 1) if _value(tokens, i) == "|")


def _value(tokens: Sequence[Token], index: int) -> str | None:
    """The symbol at *index*, None if there is another token or none."""
    inside = 0 <= index < len(tokens)
    return tokens[index].value if inside and tokens[index].kind == "symbol" else None
