"""Typed specs with several names, properties that may be expressions, and how they become values."""

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tidewaiter.config.errors import ExpressionError, PropertyError
from tidewaiter.config.fields import PositiveDuration, Text
from tidewaiter.config.spec import (
    Dynamic,
    ObjectTemplate,
    OneOf,
    PerObject,
    Spec,
    Template,
    TypedSpec,
    concrete,
    has_expression,
)
from tidewaiter.config.typenames import current_name, short_name


class Inner(Spec):
    key_name: Dynamic[str | None] = None


class Apple(TypedSpec):
    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.fruit.Apple", "io.kestra.core.tasks.Apple")

    count: Dynamic[int] = 1
    ripe: Dynamic[bool] = False
    names: Dynamic[tuple[Text, ...]] = ()
    env: Dynamic[dict[str, Text]] = Field(default_factory=dict)
    wait: Dynamic[PositiveDuration | None] = None
    plain_text: Dynamic[str] = ""
    anything: Dynamic[Any] = None
    inner: Inner | None = None
    label: PerObject[str | None] = None
    child: TypedSpec | None = None


class Pear(TypedSpec):
    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.fruit.Pear",)


def apple(**properties: Any) -> Apple:
    return Apple.model_validate({"id": "a", "type": "fruit.Apple", **properties})


def rendering(**variables: str) -> Any:
    """A stand-in for an engine: replaces {{ name }}."""

    def render(source: str) -> str:
        for name, value in variables.items():
            source = source.replace(f"{{{{ {name} }}}}", value)
        return source

    return render


def failing(source: str) -> str:
    raise ExpressionError(f"unknown variable in {source}", "define it")


FRUIT: Any = TypeAdapter(Annotated[TypedSpec, OneOf((Apple, Pear))])


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ("io.kestra.plugin.core.fruit.Apple", Apple), ("io.kestra.core.tasks.Apple", Apple), ("fruit.Apple", Apple),
        ("io.kestra.plugin.scripts.fruit.Pear", Pear), ("fruit.Pear", Pear),
    ],
)  # fmt: skip
def test_every_name_of_a_type_selects_it(written: str, chosen: type[TypedSpec]) -> None:
    """The present name, older ones and the short one are all the same type."""
    assert type(FRUIT.validate_python({"id": "a", "type": written})) is chosen


@pytest.mark.parametrize("written", ["Apple", "scripts.fruit.Pear", "core.fruit.Apple", "", 5, None])
def test_no_other_name_selects_a_type(written: object) -> None:
    """A type answers to its names and no others."""
    with pytest.raises(ValidationError):
        FRUIT.validate_python({"id": "a", "type": written})


def test_one_of_selects_by_any_name() -> None:
    """Each accepted name selects its spec; an unknown one selects none."""
    choice = OneOf((Apple, Pear))

    assert choice.selected({"type": "fruit.Pear"}) is Pear
    assert choice.selected({"type": "fruit.Plum"}) is None


KINDS = (
    "io.kestra.plugin.scripts.pear.Cut", "io.kestra.plugin.scripts.plum.Cut", "io.kestra.core.tasks.plum.Cut",
    "io.kestra.plugin.fs.http.Plum",
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "current"),
    [(KINDS[0], KINDS[0]), (KINDS[1], KINDS[1]), ("plum.Cut", KINDS[1]), (KINDS[2], KINDS[1]), (KINDS[3], KINDS[1])],
)
def test_the_present_name_behind_a_name(written: str, current: str) -> None:
    """Of a spec for several kinds, an old name stands for the present one before it."""
    assert current_name(KINDS, written) == current


def test_an_old_name_outside_the_plugins_has_no_short_one() -> None:
    """Short names are made of present names only."""
    assert Apple.accepted_names() == ("io.kestra.plugin.core.fruit.Apple", "io.kestra.core.tasks.Apple", "fruit.Apple")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("io.kestra.plugin.core.log.Log", "log.Log"), ("io.kestra.plugin.scripts.python.Script", "python.Script"),
        ("io.kestra.plugin.aws.s3.Trigger", "aws.s3.Trigger"), ("acme.X", "acme.X"),
    ],
)  # fmt: skip
def test_short_names(name: str, short: str) -> None:
    """A short name leaves out the plugin's place."""
    assert short_name(name) == short


def test_specs_are_frozen_and_know_their_properties() -> None:
    """Nothing is added to a spec, before or after."""
    with pytest.raises(ValidationError, match="frozen"):
        apple().count = 2  # type: ignore[misc] # that is the test
    with pytest.raises(ValidationError, match="Extra inputs"):
        apple(colour="red")


@pytest.mark.parametrize(
    ("text", "has"), [("{{ a }}", True), ("{% if %}", True), ("{# c #}", True), ("{a}", False), ("", False)]
)
def test_what_has_an_expression(text: str, has: bool) -> None:
    """Only an opening delimiter makes a text a template."""
    assert has_expression(text) is has


def test_a_value_without_expression_is_checked_at_once() -> None:
    """Dynamic or not, a wrong literal is refused when the flow is read."""
    with pytest.raises(ValidationError, match="valid integer"):
        apple(count="many")


@pytest.mark.parametrize("value", ["{{ n }}", ["a", "{{ n }}"], {"{{ n }}": 1}, {"a": [{"b": "{{ n }}"}]}])
def test_a_value_with_an_expression_is_held_back(value: object) -> None:
    """Wherever in it the expression is, the value waits as written."""
    assert apple(anything=value).anything == Template(value)


def test_concrete_types_what_it_renders() -> None:
    """Text that comes out of an expression becomes what the property is."""
    spec = concrete(apple(count="{{ n }}", ripe="{{ r }}", wait="PT{{ n }}S"), rendering(n="3", r="true"))
    assert (spec.count, spec.ripe, spec.wait.total_seconds() if spec.wait else None) == (3, True, 3.0)


def test_concrete_renders_inside_lists_and_maps_with_their_keys() -> None:
    """The shape stays, every text in it is rendered."""
    spec = concrete(apple(names=["x", "{{ n }}"], env={"{{ n }}": "{{ n }}!", "B": 1}), rendering(n="A"))
    assert (spec.names, spec.env) == (("x", "A"), {"A": "A!", "B": "1"})


def test_a_list_or_map_may_be_one_rendered_text() -> None:
    """An expression may give a whole list or map as JSON text."""
    spec = concrete(apple(names="{{ l }}", env="{{ m }}"), rendering(l='["a", 1]', m='{"K": true}'))
    assert (spec.names, spec.env) == (("a", "1"), {"K": "true"})


def test_json_text_is_taken_without_an_expression_too() -> None:
    """Kestra takes a list as text; so do we."""
    assert apple(names='["a"]').names == ("a",)


def test_rendered_text_is_not_rendered_again() -> None:
    """What comes out of data is data, even if it looks like an expression (reliability.md §4.1)."""
    spec = concrete(apple(plain_text="{{ key }}", names=["{{ key }}"]), rendering(key="{{ 7*7 }}"))
    assert (spec.plain_text, spec.names) == ("{{ 7*7 }}", ("{{ 7*7 }}",))
    assert concrete(spec, failing) is spec


def test_a_spec_without_templates_is_given_back_as_is() -> None:
    """There is nothing to render, nothing is copied."""
    spec = apple(count=2, plain_text="{ not one }")
    assert concrete(spec, failing) is spec


def test_a_nested_spec_is_rendered_with_its_owner() -> None:
    """A group of properties belongs to the task."""
    spec = concrete(apple(inner={"keyName": "{{ n }}"}), rendering(n="x"))
    assert spec.inner == Inner(key_name="x")


def test_a_child_task_keeps_its_templates() -> None:
    """A child's expressions are due when the child runs."""
    child = apple(plain_text="{{ later }}")
    spec = concrete(apple(count="{{ n }}", child=child), rendering(n="1"))
    assert spec.child is child


def test_only_some_properties_can_be_rendered() -> None:
    """Properties due at another moment stay as written."""
    spec = concrete(apple(count="{{ n }}", plain_text="{{ later }}"), rendering(n="4"), only=("count",))
    assert (spec.count, spec.plain_text) == (4, Template("{{ later }}"))


def test_rendering_in_two_steps_gives_the_whole() -> None:
    """What was left for later is rendered later, the rest stays."""
    first = concrete(apple(count="{{ n }}", plain_text="{{ t }}"), rendering(n="4"), only=("count",))
    second = concrete(first, rendering(t="x"))
    assert (second.count, second.plain_text) == (4, "x")


def test_a_failed_expression_names_its_property() -> None:
    """Property and place in it come first, in the author's spelling; the hint stays."""
    with pytest.raises(ExpressionError) as caught:
        concrete(apple(anything={"A": ["b", "{{ x }}"]}), failing)
    assert (caught.value.message, caught.value.hint) == (
        "property 'anything.A[1]': unknown variable in {{ x }}",
        "define it",
    )


def test_the_property_is_named_as_in_yaml() -> None:
    """The author wrote plainText."""
    with pytest.raises(ExpressionError, match="property 'plainText': "):
        concrete(apple(plain_text="{{ x }}"), failing)


def test_a_rendered_value_that_does_not_fit_names_property_and_value() -> None:
    """What came out is quoted: the expression alone does not tell."""
    with pytest.raises(PropertyError, match=r"property 'count': .*integer.*, got 'three' after rendering"):
        concrete(apple(count="{{ n }}"), rendering(n="three"))


def test_a_rendered_text_that_is_not_quite_json_does_not_fit() -> None:
    """Broken JSON is told as a value that does not fit, not as a crash."""
    with pytest.raises(PropertyError, match="property 'names'"):
        concrete(apple(names="{{ l }}"), rendering(l="[1,"))


@pytest.mark.parametrize("text", ["{{ object.key }}", "a/{% if object.size > 3 %}b{% endif %}"])
def test_what_sees_the_object_survives(text: str) -> None:
    """An expression over ``object`` has a value for each object only, and is kept until then."""
    rendered = concrete(apple(label=text, plainText="{{ x }}"), rendering(x="1"))
    assert (rendered.label, rendered.plain_text) == (ObjectTemplate(text), "1")


@pytest.mark.parametrize(
    ("text", "value"), [("object", "object"), ("{{ x }}", "{{ object }}"), ("{{ objects }}", "{{ objects }}")]
)
def test_what_does_not_see_the_object_is_rendered_once(text: str, value: str) -> None:
    """Text is text, and what an expression gives is never looked at for expressions again."""
    assert concrete(apple(label=text), rendering(x="{{ object }}")).label == value
