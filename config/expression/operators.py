"""Pebble's operators and tests, with Java's arithmetic: integers divide to integers, text never equals a number."""

import functools
import itertools
import json
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.printing import plain
from tidewaiter.config.expression.values import (
    MAX_INTEGER_BITS,
    Undefined,
    bounded,
    collected,
    defined,
    interval,
    is_number,
    kind,
    mapped,
    propagating,
    sequence_of,
)

_NESTED = (Mapping, list, tuple, set, frozenset, range)
_MAX_COMPARED = 250_000
_MAX_JSON = 4 * 1024 * 1024
_DECIMAL_DIGITS = 34  # java.math.MathContext.DECIMAL128, in which Pebble calculates with BigDecimal


def truth(value: Any) -> bool:
    """
    Tell whether a condition holds: false, null, zero and the empty string, list and map do not.

    Raises:
        ExpressionError: *value* is undefined.
    """
    value = defined(value)
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def negation(value: Any) -> bool:
    """Give the opposite of the truth of *value*; null counts as false."""
    return not truth(value)


def add(left: Any, right: Any) -> Any:
    """Add numbers, put texts one after the other, append to a list or extend it, add the entries of a map."""
    if isinstance(left, str) or isinstance(right, str):
        return bounded(plain(left) + plain(right))
    if isinstance(left, list | tuple):
        return bounded([*left, *(right if isinstance(right, list | tuple) else [right])])
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return {**left, **right}
    return _calculate("add", left, right)


def subtract(left: Any, right: Any) -> Any:
    """Subtract numbers; take an item, or all items of another list, out of a list."""
    if isinstance(left, list | tuple):
        unwanted = _Members(right if isinstance(right, list | tuple) else [right])
        return [item for item in left if item not in unwanted]
    return _calculate("subtract", left, right)


def negative(value: Any) -> Any:
    """Give the number *value* with the other sign."""
    return _calculate("subtract", 0, value) if value != 0 or not isinstance(value, float) else -value


def positive(value: Any) -> Any:
    """Give the number *value*."""
    return _calculate("add", 0, value)


def multiply(left: Any, right: Any) -> Any:
    """Multiply numbers."""
    return _calculate("multiply", left, right)


def divide(left: Any, right: Any) -> Any:
    """Divide numbers; two integers give an integer, rounded towards zero."""
    return _calculate("divide", left, right)


def remainder(left: Any, right: Any) -> Any:
    """Give what a division leaves; it has the sign of *left*."""
    return _calculate("take the remainder of", left, right)


def concatenate(left: Any, right: Any) -> str:
    """Put the texts of two values one after the other; null has none."""
    return bounded(("" if left is None else plain(left)) + ("" if right is None else plain(right)))


def joined(pieces: tuple[Any, ...]) -> Any:
    """Put the pieces of a string with ``#{…}`` together."""
    return functools.reduce(propagating(concatenate), pieces, "")


def equal(left: Any, right: Any) -> bool:
    """Compare two values; numbers by value, everything else only with its own kind."""
    return _same(left, right, itertools.count())


def _same(left: Any, right: Any, compared: Iterator[int]) -> bool:
    if next(compared) > _MAX_COMPARED:
        raise ExpressionError("values are too big to compare")
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key], compared) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(
            _same(one, other, compared) for one, other in zip(left, right, strict=True)
        )
    return bool(left == right)


class _Members:
    """Looks up what is `equal` to one of *items*, fast for all but lists and maps."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._compared = itertools.count()
        self._simple: set[tuple[bool, Any]] = set()
        self._nested: list[Any] = []
        for item in items:
            if isinstance(item, _NESTED):
                self._nested.append(item)
            else:
                self._simple.add((isinstance(item, bool), item))

    def __contains__(self, item: Any) -> bool:
        if isinstance(item, _NESTED):
            return any(_same(item, other, self._compared) for other in self._nested)
        return (isinstance(item, bool), item) in self._simple


def unequal(left: Any, right: Any) -> bool:
    """Tell whether two values are not `equal`."""
    return not equal(left, right)


def greater(left: Any, right: Any) -> bool:
    """Tell whether *left* is greater; numbers by value, strings by code points."""
    return _order(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """Tell whether *left* is not less."""
    return _order(left, right) >= 0


def less(left: Any, right: Any) -> bool:
    """Tell whether *left* is less."""
    return _order(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """Tell whether *left* is not greater."""
    return _order(left, right) <= 0


def contains(container: Any, item: Any) -> bool:
    """Tell whether a text has *item* in it, a map has it as key, or a list has it (all of it, if *item* is a list)."""
    if container is None:
        return False
    if isinstance(container, str):
        return plain(item) in container
    if isinstance(container, Mapping):
        return isinstance(item, Hashable) and item in container
    wanted = item if isinstance(item, list | tuple) else [item]
    members = _Members(sequence_of(container, "what 'contains' looks into"))
    return all(one in members for one in wanted)


def within(item: Any, container: Any) -> bool:
    """Tell whether *item* is in a list, in a text, or in a map as key or value."""
    if isinstance(container, Mapping):
        return contains(container, item) or item in _Members(container.values())
    return contains(container, [item] if isinstance(container, list | tuple) else item)


def not_within(item: Any, container: Any) -> bool:
    """Tell whether *item* is not `within` the container."""
    return not within(item, container)


def is_defined(value: Any) -> bool:
    """Tell whether the variable is there; null is."""
    return type(value) is not Undefined


def is_null(value: Any) -> bool:
    """Tell whether *value* is null."""
    return value is None


def is_empty(value: Any) -> bool:
    """Tell whether *value* is null, a blank text, or a list or map with nothing in it."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Mapping | list | tuple | set | range) and not value)


def is_even(value: Any) -> bool:
    """Tell whether the integer *value* is even."""
    if not is_number(value) or isinstance(value, float | Decimal):
        raise ExpressionError(f"only an integer is even or odd, got {kind(value)}")
    return bool(value % 2 == 0)


def is_odd(value: Any) -> bool:
    """Tell whether the integer *value* is odd."""
    return not is_even(value)


def is_iterable(value: Any) -> bool:
    """Tell whether *value* is a list; texts and maps are not iterable in Pebble."""
    return isinstance(value, list | tuple | set | frozenset | range)


def is_map(value: Any) -> bool:
    """Tell whether *value* is a map."""
    return isinstance(value, Mapping)


def is_json(value: Any) -> bool:
    """Tell whether *value* is a text that can be read as JSON."""
    if not isinstance(value, str):
        return False
    if len(value) > _MAX_JSON:
        raise ExpressionError("text is too long to be read as JSON", "pass big contents as files")
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def present(value: Any) -> tuple[Any, ...]:
    """Give *value* as the only item of a tuple, or nothing if it is null or undefined."""
    return () if value is None or type(value) is Undefined else (value,)


def available(value: Any) -> tuple[Any, ...]:
    """Give *value* as the only item of a tuple, or nothing if it is undefined."""
    return () if type(value) is Undefined else (value,)


def wrapped(value: Any) -> tuple[Any, ...]:
    """Give *value*, whatever it is, as the only item of a tuple."""
    return (value,)


def unwrapped(values: tuple[Any, ...]) -> Any:
    """Give the only item of *values*."""
    return values[0]


def _calculate(act: str, left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right)):
        raise ExpressionError(f"cannot {act} {kind(left)} and {kind(right)}", _NUMBER_HINT)
    numbers: tuple[Any, Any] = (left, right)
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        numbers = (Decimal(str(left)), Decimal(str(right)))
    try:
        with localcontext(prec=_DECIMAL_DIGITS):
            result = _ARITHMETIC[act](*numbers)
    except (ZeroDivisionError, OverflowError, InvalidOperation) as error:
        raise ExpressionError(f"cannot {act} {left} and {right}: {_reason(error)}") from error
    if isinstance(result, int) and result.bit_length() > MAX_INTEGER_BITS:
        raise ExpressionError(f"cannot {act} these numbers: the result is too large")
    return result


_NUMBER_HINT = "turn text into a number with the filter 'number'"


def _reason(error: ArithmeticError) -> str:
    return "division by zero" if isinstance(error, ZeroDivisionError | InvalidOperation) else "the result is too large"


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    if isinstance(left, Decimal) or right:
        return left / right
    return math.nan if not left or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return left - right * _divide(left, right)
    if isinstance(left, Decimal):
        return left % right
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "add": lambda left, right: left + right,
        "subtract": lambda left, right: left - right,
        "multiply": lambda left, right: left * right,
        "divide": _divide,
        "take the remainder of": _remainder,
    }
)


def _order(left: Any, right: Any) -> int:
    comparable = (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
    if not comparable:
        raise ExpressionError(f"cannot compare {kind(left)} with {kind(right)}", _NUMBER_HINT)
    return int(left > right) - int(left < right)


OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **{
            function.__name__: propagating(function)
            for function in (
                negation,
                add,
                subtract,
                negative,
                positive,
                multiply,
                divide,
                remainder,
                concatenate,
                equal,
                unequal,
                greater,
                greater_or_equal,
                less,
                less_or_equal,
                contains,
                within,
                not_within,
                is_null,
                is_empty,
                is_even,
                is_odd,
                is_iterable,
                is_map,
                is_json,
                interval,
            )
        },
        **{function.__name__: function for function in (is_defined, collected, mapped, joined)},
    }
)
"""Every operation of the grammar by name; those of the first group give an undefined operand back."""

LAZY: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {function.__name__: function for function in (truth, present, available, wrapped, unwrapped)}
)
"""The steps of the operators that do not always evaluate both sides."""
