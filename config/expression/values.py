"""
The values an expression works with: plain data, and a mark for what is not there.

A missing variable is a value until somebody needs it: `Undefined` travels through operators and filters, so that
``??``, ``is defined`` and ``default`` see it wherever it arose (kestra.md §2.1 Q10), and becomes an error when it would
be used.
"""

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from tidewaiter.config.errors import ExpressionError

MAX_INTEGER_BITS = 1024
MAX_TEXT = 16 * 1024 * 1024
"""Characters of the longest text an expression may build."""

MAX_ITEMS = 1_000_000
"""Items of the longest list an expression may build."""

MAX_RANGE = 100_000
"""Numbers in the longest range."""

_SHOWN_NAMES = 8

SizedT = TypeVar("SizedT", str, list[Any])


@dataclass(frozen=True, slots=True)
class Undefined:
    """A variable, key or index that is not there. *name* is how the author wrote it, *known* what is there instead."""

    name: str
    known: tuple[str, ...] = ()

    def fail(self) -> NoReturn:
        """Raise the error for using a variable that is not there."""
        raise ExpressionError(f"undefined variable '{self.name}'", self._hint())

    def _hint(self) -> str:
        advice = "append ?? and a default if it may be absent"
        if not self.known:
            return advice
        meant = next(similar(re.split(r"[.\['\"\]]+", self.name.rstrip("'\"]"))[-1], self.known), None)
        if meant:
            return f"did you mean '{meant}'? {advice}"
        shown = ", ".join(self.known[:_SHOWN_NAMES]) + (", …" if len(self.known) > _SHOWN_NAMES else "")
        return f"there is {shown}; {advice}"


def propagating(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let *function* give the first undefined argument back instead of being called with it."""

    @functools.wraps(function)
    def guarded(*arguments: Any) -> Any:
        for argument in arguments:
            if type(argument) is Undefined:
                return argument
        return function(*arguments)

    return guarded


def defined(value: Any) -> Any:
    """
    Give *value* back.

    Raises:
        ExpressionError: it is undefined.
    """
    if type(value) is Undefined:
        value.fail()
    return value


def is_number(value: Any) -> bool:
    """Tell whether *value* is a number; true and false are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """Name the type of *value* in words for messages."""
    if value is None:
        return "null"
    names = (
        (bool, "a boolean"),
        (str, "a string"),
        (int, "an integer"),
        (float | Decimal, "a number"),
        (Mapping, "a map"),
        (list | tuple | set | frozenset | range, "a list"),
        (datetime | date, "a date"),
    )
    return next((name for type_, name in names if isinstance(value, type_)), "a value of an unknown type")


def text_of(value: Any, what: str = "value") -> str:
    """
    Give *value* back if it is a string; numbers, booleans and dates are no strings.

    Raises:
        ExpressionError: it is none.
    """
    if isinstance(value, str):
        return value
    raise ExpressionError(f"{what} must be a string, got {kind(value)}")


def whole(value: Any, what: str) -> int:
    """
    Give *value* as an integer; the fraction of a number is cut off.

    Raises:
        ExpressionError: it is no finite number.
    """
    if not is_number(value):
        raise ExpressionError(f"{what} must be a number, got {kind(value)}")
    try:
        return int(value)
    except (ValueError, OverflowError) as error:
        raise ExpressionError(f"{what} must be a finite number, got {value}") from error


def sequence_of(value: Any, what: str = "value") -> list[Any]:
    """
    Give the items of the list *value*.

    Raises:
        ExpressionError: it is no list.
    """
    if isinstance(value, list | tuple | range | set | frozenset):
        return list(value)
    raise ExpressionError(f"{what} must be a list, got {kind(value)}")


def elements(value: Any) -> list[Any]:
    """
    Give what a loop goes over: the items of a list, the entries (``key``, ``value``) of a map, nothing for null.

    Raises:
        ExpressionError: *value* cannot be looped over.
    """
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    return sequence_of(value, "what a loop goes over")


def collected(items: tuple[Any, ...]) -> Any:
    """Build the list of a literal; with an undefined item it is that."""
    return next((item for item in items if type(item) is Undefined), list(items))


def bounded(built: SizedT) -> SizedT:
    """
    Give the text or list *built* back.

    Raises:
        ExpressionError: it is longer than expressions may build.
    """
    if len(built) > (MAX_TEXT if isinstance(built, str) else MAX_ITEMS):
        raise ExpressionError(f"{kind(built)} of {len(built)} parts is too long", "pass big contents as files")
    return built


def replaced(text: str, old: str, new: str) -> str:
    """
    Replace every *old* in *text* by *new*.

    Raises:
        ExpressionError: the result would be too long.
    """
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_TEXT:
        raise ExpressionError("text is too long after replacing", "pass big contents as files")
    return text.replace(old, new)


def mapped(flat: tuple[Any, ...]) -> Any:
    """Build the map of a literal from its keys and values in turn; with an undefined one it is that."""
    for item in flat:
        if type(item) is Undefined:
            return item
    keys = flat[::2]
    for key in keys:
        if not isinstance(key, str | int | float | bool | None):
            raise ExpressionError(f"key of a map must be a string or a number, got {kind(key)}")
    return dict(zip(keys, flat[1::2], strict=True))


def interval(first: Any, last: Any, step: Any = 1) -> list[Any]:
    """
    List the numbers from *first* to *last*, both included, or the characters between two strings of one character each.

    Raises:
        ExpressionError: *step* is zero, or the list would be longer than `MAX_RANGE`.
    """
    if isinstance(first, str) and isinstance(last, str) and len(first) == len(last) == 1:
        return [chr(code) for code in interval(ord(first), ord(last), step)]
    start, stop, stride = (
        whole(first, "start of a range"),
        whole(last, "end of a range"),
        whole(step, "step of a range"),
    )
    if not stride:
        raise ExpressionError("step of a range must not be zero")
    numbers = range(start, stop + (1 if stride > 0 else -1), stride)
    if max(start, stop) - min(start, stop) > MAX_RANGE * abs(stride):
        raise ExpressionError(f"range cannot produce more than {MAX_RANGE} numbers")
    return list(numbers)


def similar(name: str, known: Iterable[str]) -> Iterator[str]:
    """Give the names of *known* that *name* is probably a misspelling of, best first."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    if folded in by_folded:
        yield by_folded[folded]
        return
    for candidate in difflib.get_close_matches(folded, by_folded, n=2, cutoff=0.6):
        yield by_folded[candidate]
