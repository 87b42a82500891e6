"""The JSON Schema of documents: complete, recursive, and of one mind with validation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import jsonschema
import pytest
from pydantic import AliasChoices, Field, ValidationError

from tidewaiter.config.fields import PositiveDuration, Size, Text
from tidewaiter.config.schema import DRAFT, json_schema
from tidewaiter.config.spec import Dynamic, OneOf, Spec, TypedSpec

PLANTS = OneOf(lambda: (Tree, Herb))


class Pot(Spec):
    """Where it grows (kestra.md §1)."""

    size: Size = 1


class Tree(TypedSpec):
    """Has branches."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.plant.Tree", "io.kestra.core.tasks.plants.Tree")
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType({"colour": "all trees are green"})

    branches: tuple[Annotated[TypedSpec, PLANTS], ...] = ()
    """What grows on it."""
    height: Dynamic[int] = 1
    leaves: Dynamic[tuple[Text, ...]] = ()
    pot: Pot | None = None
    age: PositiveDuration | None = None
    note: Annotated[str | None, Field(validation_alias=AliasChoices("note", "remark"))] = None


class Herb(TypedSpec):
    """Smells."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.plant.Herb",)

    smell: Annotated[str, Field(validation_alias=AliasChoices("smell", "scent"))]
    """What one notices first."""


SCHEMA = json_schema(Tree, "Tree")
NAME = "plant.Tree"


def fits(document: dict[str, Any]) -> bool:
    return jsonschema.Draft7Validator(SCHEMA).is_valid(document)


def loads(document: dict[str, Any]) -> bool:
    try:
        Tree.model_validate(document, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


def tree(**properties: Any) -> dict[str, Any]:
    return {"id": "a", "type": NAME, **properties}


GOOD = [
    tree(),
    tree(type="io.kestra.core.tasks.plants.Tree"),
    tree(branches=[tree(branches=[{"id": "b", "type": "plant.Herb", "smell": "x"}])]),
    tree(branches=[{"id": "b", "type": "plant.Herb", "scent": "x"}]),
    tree(height="{{ inputs.height }}"),
    tree(height="12"),
    tree(leaves='["a"]'),
    tree(leaves=["a", 1, True, "{{ x }}"]),
    tree(leaves="{{ x }}"),
    tree(pot={"size": "10 MiB"}),
    tree(age="PT1M"),
    tree(colour="red"),
    tree(remark="old"),
    tree(remark=None, branches=None, height=None),
]

BAD = [
    {"type": NAME},
    tree(type="plant.Stone"),
    tree(branches=[{"id": "b", "type": "plant.Herb"}]),
    tree(branches=[{"id": "b", "type": "plant.Stone"}]),
    tree(branches=[tree(branches=[tree(heigth=1)])]),
    tree(height="tall"),
    tree(leaves="a"),
    tree(pot={"size": "many"}),
    tree(age="a year"),
    tree(fruit=1),
]


@pytest.mark.parametrize("document", GOOD)
def test_it_accepts_what_loads(document: dict[str, Any]) -> None:
    """An editor has nothing against what is valid."""
    assert (fits(document), loads(document)) == (True, True)


@pytest.mark.parametrize("document", BAD)
def test_it_rejects_what_does_not(document: dict[str, Any]) -> None:
    """An editor finds the same mistakes as we do, however deep. That the outermost type fits is not asked here."""
    assert (fits(document), loads(document) and document["type"] == NAME) == (False, False)


def test_it_is_a_schema_of_its_draft() -> None:
    """Language servers know this one best."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DRAFT


def test_descriptions_come_from_the_source() -> None:
    """The text under a property and that of its spec, without what only makers look up."""
    assert SCHEMA["properties"]["branches"]["description"] == "What grows on it."
    assert SCHEMA["definitions"]["Pot"]["description"] == "Where it grows."


def test_old_names_are_marked() -> None:
    """Editors strike them through and do not offer them."""
    assert SCHEMA["properties"]["remark"]["deprecationMessage"] == "now 'note'"
    offered, old = SCHEMA["properties"]["type"]["anyOf"]
    assert (offered["enum"], old["enum"], old["doNotSuggest"]) == (
        ["io.kestra.plugin.core.plant.Tree", "plant.Tree"],
        ["io.kestra.core.tasks.plants.Tree"],
        True,
    )


def test_what_has_no_effect_says_so() -> None:
    """The reason is the description."""
    assert SCHEMA["properties"]["colour"]["description"] == "no effect here: all trees are green"


def test_a_mistake_is_told_where_it_is() -> None:
    """The error is of the nested spec's property, not that none of many types fits."""
    [error] = jsonschema.Draft7Validator(SCHEMA).iter_errors(
        tree(branches=[{"id": "b", "type": "plant.Herb", "smell": 5.5}])
    )
    assert list(error.absolute_path) == ["branches", 0, "smell"]
