"""The text under each property, for editors and the reference."""

from tidewaiter.config.descriptions import description, property_descriptions
from tidewaiter.config.spec import Spec


class Basket(Spec):
    """Holds things (kestra.md §1.3)."""

    size: int = 1
    """How much goes into it (kestra.md §1.3)."""
    colour: str = ""


class Hamper(Basket):
    size: int = 2
    lid: bool = True
    """
    Whether it can be closed.

    Most can.
    """


def test_a_description_stands_under_its_property() -> None:
    """References for makers are left out; a property without one has none."""
    assert property_descriptions(Basket) == {"size": "How much goes into it."}


def test_descriptions_are_inherited() -> None:
    """A property that is declared anew keeps that of the class above."""
    assert property_descriptions(Hamper) == {
        "size": "How much goes into it.",
        "lid": "Whether it can be closed.\n\nMost can.",
    }


def test_a_spec_without_docstring_is_described_by_the_one_above() -> None:
    """What holds for a kind holds for its members."""
    assert (description(Basket), description(Hamper)) == ("Holds things.", "Holds things.")
