"""The functions of the language that need nothing but their arguments."""

import random
import secrets
import string
import time
import uuid as uuids
from collections.abc import Callable, Mapping
from json import loads
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.ion import from_ion
from tidewaiter.config.expression.operators import greater
from tidewaiter.config.expression.values import interval, kind, text_of, whole
from tidewaiter.config.expression.yaml_text import from_yaml

_MAX_ID = 1000
_MAX_JSON = 4 * 1024 * 1024
_KSUID_EPOCH = 1_400_000_000
_BASE_62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_URL_SAFE = string.ascii_letters + string.digits + "_-"


def from_json(json: Any) -> Any:
    """
    Read the JSON text *json*; null gives null.

    Raises:
        ExpressionError: it is no JSON.
    """
    if json is None:
        return None
    text = text_of(json, "JSON")
    if len(text) > _MAX_JSON:
        raise ExpressionError("JSON is too long", "work on big files in a script")
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise ExpressionError(f"not JSON: {error}") from error


def range_(start: Any, end: Any, increment: Any = 1) -> list[Any]:
    """List the numbers or characters from *start* to *end*, both included."""
    return interval(start, end, increment)


def maximum(*values: Any) -> Any:
    """Give the greatest of *values*."""
    return _extreme(values, greater)


def minimum(*values: Any) -> Any:
    """Give the least of *values*."""
    return _extreme(values, lambda value, best: greater(best, value))


def uuid() -> str:
    """Make a random UUID."""
    return str(uuids.uuid4())


def random_int(lower: Any, upper: Any) -> int:
    """
    Draw an integer from *lower* to *upper*, the latter left out unless they are the same, as Kestra does.

    Raises:
        ExpressionError: they are no integers, or *lower* is greater.
    """
    for bound in (lower, upper):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise ExpressionError(f"bounds must be integers, got {kind(bound)}")
    if lower > upper:
        raise ExpressionError(f"lower bound {lower} is greater than upper bound {upper}")
    return random.randrange(lower, max(upper, lower + 1))  # noqa: S311 - no secret


def nano_id(length: Any = 21, alphabet: Any = _URL_SAFE) -> str:
    """Make a random id of *length* characters out of *alphabet*."""
    size, letters = whole(length, "length"), text_of(alphabet, "alphabet")
    if not (0 < size <= _MAX_ID and letters):
        raise ExpressionError(f"length must be from 1 to {_MAX_ID}, and the alphabet not empty")
    return "".join(secrets.choice(letters) for _ in range(size))


def ksuid() -> str:
    """Make an id of 27 letters and digits out of the time, in seconds, and 16 random bytes; ids sort by their time."""
    number = (int(time.time()) - _KSUID_EPOCH) << 128 | secrets.randbits(128)
    return _in_base_62(number).rjust(27, "0")


def id_() -> str:
    """Make a random id of at most 22 letters and digits, as executions have in Kestra."""
    return _in_base_62(uuids.uuid4().int)


def random_port() -> int:
    """Draw a port that no service is assigned to; whether it is free here is not looked at."""
    return random.randrange(49152, 65536)  # noqa: S311 - no secret


def _in_base_62(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 62)
        text = _BASE_62[digit] + text
    return text


def _extreme(values: tuple[Any, ...], better: Callable[[Any, Any], bool]) -> Any:
    if not values:
        raise ExpressionError("at least one value is needed")
    best = values[0]
    for value in values[1:]:
        best = value if better(value, best) else best
    return best


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "fromJson": from_json,
        "json": from_json,
        "range": range_,
        "max": maximum,
        "min": minimum,
        "uuid": uuid,
        "randomInt": random_int,
        "nanoId": nano_id,
        "ksuid": ksuid,
        "id": id_,
        "randomPort": random_port,
        "yaml": from_yaml,
        "fromIon": from_ion,
        "jsonDecode": from_json,  # what fromJson was called for a short time
    }
)
