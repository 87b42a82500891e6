"""Plugin defaults are filled in before a flow is checked."""

from typing import Any

from tidewaiter.config.defaults import with_defaults

NAMES = {"log.Log": "io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log": "io.kestra.plugin.core.log.Log"}


def filled(task: dict[str, Any], *defaults: dict[str, Any], key: str = "pluginDefaults") -> Any:
    return with_defaults({"tasks": [task], key: list(defaults)}, NAMES)["tasks"][0]


def default(kind: str, forced: bool = False, **values: Any) -> dict[str, Any]:
    return {"type": kind, "forced": forced, "values": values}


def test_a_property_that_is_not_written_has_the_default() -> None:
    """What is written wins."""
    assert filled({"type": "log.Log", "a": 1}, default("log.Log", a=2, b=2)) == {"type": "log.Log", "a": 1, "b": 2}


def test_a_forced_default_wins() -> None:
    """Over what is written."""
    assert filled({"type": "log.Log", "a": 1}, default("log.Log", forced=True, a=2))["a"] == 2


def test_the_first_in_the_list_wins() -> None:
    """Of two defaults for one property."""
    assert filled({"type": "log.Log"}, default("log.Log", a=1), default("log.Log", a=2))["a"] == 1


def test_all_names_of_a_type_are_one() -> None:
    """Old, current and short."""
    assert filled({"type": "io.kestra.core.tasks.log.Log"}, default("log.Log", a=1))["a"] == 1


def test_the_beginning_of_a_name_means_all_types_below() -> None:
    """As in Kestra."""
    assert filled({"type": "log.Log"}, default("io.kestra.plugin.core.", a=1))["a"] == 1
    assert "a" not in filled({"type": "log.Log"}, default("io.kestra.plugin.aws.", a=1))


def test_nested_specs_have_defaults_too() -> None:
    """Tasks in tasks, and task runners."""
    task = {"type": "x", "tasks": [{"type": "log.Log"}], "taskRunner": {"type": "r"}}
    inner = filled(task, default("log.Log", a=1), default("r", b=2))
    assert (inner["tasks"][0]["a"], inner["taskRunner"]["b"]) == (1, 2)


def test_maps_are_merged() -> None:
    """A default adds to what is written."""
    assert filled({"type": "log.Log", "m": {"a": 1}}, default("log.Log", m={"a": 2, "b": 2}))["m"] == {"a": 1, "b": 2}


def test_the_former_name() -> None:
    """Flows before Kestra 0.16 call them taskDefaults."""
    assert filled({"type": "log.Log"}, default("log.Log", a=1), key="taskDefaults")["a"] == 1


def test_what_is_not_well_formed_is_left_to_the_check() -> None:
    """Nothing is guessed."""
    data = {"tasks": [{"type": "log.Log"}], "pluginDefaults": [{"type": 1}, "x"]}
    assert with_defaults(data, NAMES) == data
