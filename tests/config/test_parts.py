"""The parts of documents as written, described by their specs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import AliasChoices, Field

from tidewaiter.config.parts import choices_of, models_of, parts
from tidewaiter.config.spec import OneOf, Spec, TypedSpec

BOXES = OneOf(lambda: (Box, Bag))


class Label(Spec):
    text: str = ""


class Box(TypedSpec):
    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.flow.Box", "io.kestra.core.tasks.flows.Box")

    inside: tuple[Annotated[TypedSpec, BOXES], ...] = ()
    by_name: Mapping[str, Any] = MappingProxyType({})
    cases: dict[str, tuple[Annotated[TypedSpec, BOXES], ...]] = Field(default_factory=dict)
    label: Label | None = None
    note: Annotated[str, Field(validation_alias=AliasChoices("note", "remark"))] = ""


class Bag(TypedSpec):
    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.flow.Bag",)


def found(data: Any) -> list[tuple[tuple[str | int, ...], str | None]]:
    return [(part.path, part.spec and part.spec.__name__) for part in parts(data, Box)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, [((), "Box")]),
        ({"label": {}}, [((), "Box"), (("label",), "Label")]),
        ({"inside": [{"type": "flow.Bag"}]}, [((), "Box"), (("inside", 0), "Bag")]),
        (
            {"cases": {"a": [{"type": "flow.Box", "label": {}}]}},
            [((), "Box"), (("cases", "a", 0), "Box"), (("cases", "a", 0, "label"), "Label")],
        ),
        ({"inside": [{"type": "flow.Tin"}]}, [((), "Box"), (("inside", 0), None)]),
        ({"inside": 5, "label": [1], "cases": [[]]}, [((), "Box")]),
        ([1], []),
    ],
)
def test_parts_are_found_wherever_a_spec_puts_them(data: Any, expected: list[Any]) -> None:
    """In lists, in maps, under a name; what is not valid has no parts, and what has an unknown type no spec."""
    assert found(data) == expected


def test_a_part_knows_what_is_around_it() -> None:
    """The nearest first."""
    inner = [*parts({"inside": [{"type": "flow.Box", "label": {}}]}, Box)][-1]
    assert [owner.path for owner in inner.owners()] == [("inside", 0), ()]


def test_an_old_type_name_is_told_with_the_present_one() -> None:
    """A present or short name is none."""
    names = ["io.kestra.core.tasks.flows.Box", "io.kestra.plugin.core.flow.Box", "flow.Box"]
    renamed = [next(parts({"type": name}, Box)).renamed for name in names]
    assert renamed == ["io.kestra.plugin.core.flow.Box", None, None]


@pytest.mark.parametrize(
    ("data", "expected"),
    [({"remark": "x"}, [("remark", "note")]), ({"note": "x"}, []), ({"note": "x", "remark": "y"}, [])],
)
def test_an_old_property_is_told_with_the_present_one(data: Any, expected: list[Any]) -> None:
    """Unless both are there: then it is a mistake, for validation to tell."""
    assert list(next(parts(data, Box)).old_names()) == expected


def test_every_model_and_choice_is_found_once() -> None:
    """However deep it is, and though they contain each other."""
    assert (set(models_of(Box)), choices_of(models_of(Box))) == ({Box, Bag, Label}, [BOXES])
