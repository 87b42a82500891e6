"""The types of properties, and what they say of values that do not fit."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tidewaiter.config.fields import (
    Duration,
    Id,
    Namespace,
    PositiveDuration,
    Size,
    Text,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


def read(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


def refusal(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30), ("PT5M", 300), ("PT1M30S", 90), ("P1D", 86_400), ("P1DT1H", 90_000), ("P1W", 604_800),
        ("PT0.25S", 0.25), ("PT0,5S", 0.5), ("-PT5S", -5), ("+PT5S", 5), ("pt5s", 5), (" PT5S ", 5), ("PT0S", 0),
    ],
)  # fmt: skip
def test_durations_are_iso_8601(text: str, seconds: float) -> None:
    """Weeks to seconds, fractions, signs and either case are read as java.time does."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "5m", "5 minutes", "P1Y", "P1M", "PT5", "P1DT", "PT1S1M", "PT1.5M", "P-1D"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    """A refusal quotes the text and shows how it is done."""
    with pytest.raises(ValueError, match=r"is not an ISO-8601 duration, for example PT30S, PT5M or P1D"):
        parse_duration(text)


def test_a_property_takes_a_duration() -> None:
    """The annotated type gives a timedelta, and the reason of a refusal."""
    assert read(Duration, "PT1M") == timedelta(minutes=1)
    assert refusal(Duration, "soon").startswith("'soon' is not an ISO-8601 duration")


@pytest.mark.parametrize("text", ["PT0S", "-PT1S"])
def test_a_positive_duration_is_longer_than_zero(text: str) -> None:
    """Where waiting no time makes no sense, it is refused."""
    assert refusal(PositiveDuration, text) == "must be longer than zero"


@pytest.mark.parametrize("text", ["PT0S", "PT1M30S", "PT26H0.5S", "PT1H", "PT0.25S"])
def test_a_formatted_duration_reads_back(text: str) -> None:
    """What is written for people means the same when read."""
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (8080, "8080"), (1.5, "1.5"), ("x", "x")]
)
def test_text_takes_scalars_in_their_yaml_spelling(value: object, text: str) -> None:
    """Authors write 'PORT: 8080' and mean text."""
    assert read(Text, value) == text


@pytest.mark.parametrize("value", ["a", "A.b_c-9", "0", "x" * 100])
def test_an_id_is_made_of_letters_digits_and_some_signs(value: str) -> None:
    """These are ids."""
    assert read(Id, value) == value


@pytest.mark.parametrize("value", ["", ".a", "-a", "a b", "a/b", "a\n", "é", "x" * 101, "..", "{{ x }}"])
def test_anything_else_is_no_id(value: str) -> None:
    """No id leaves a folder, breaks a line or hides in other letters."""
    assert refusal(Id, value)


def test_the_refusal_of_an_id_is_in_words() -> None:
    """Nobody has to read a regular expression."""
    assert refusal(Id, "a b") == "must be made of letters, digits, '.', '_' and '-', beginning with a letter or digit"


@pytest.mark.parametrize("value", ["A", "a..b", "a.", "a/b", "a.\n", ".a", "x" * 151])
def test_what_is_no_namespace(value: str) -> None:
    """A namespace is a path of names in small letters; none of its parts is empty."""
    assert refusal(Namespace, value)


def test_the_schema_still_tells_editors_the_pattern() -> None:
    """The message is in words, the JSON Schema has the pattern."""
    assert TypeAdapter(Id).json_schema()["pattern"] == "^[a-zA-Z0-9][a-zA-Z0-9._-]*$"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12", 12), ("12 B", 12), ("1KB", 1000), ("5 MB", 5_000_000), ("10 MiB", 10 << 20), ("1.5gib", 3 << 29)],
)
def test_sizes(text: str, size: int) -> None:
    """A size is a number of bytes, or of a unit of 1000 or 1024."""
    assert read(Size, text) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1 XB", "1,5 MB", "MiB", "٣"])
def test_anything_else_is_no_size(text: str) -> None:
    """A refusal quotes the text and shows how it is done."""
    assert refusal(Size, text) == f"'{text}' is not a size, for example 100, 5 MB or 10 MiB"


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1024, "1 KiB"), (1_500_000, "1500 KB")])
def test_a_size_is_shown_exactly(size: int, text: str) -> None:
    """The largest unit that divides it, so that two sizes that differ never look alike."""
    assert format_size(size) == text
