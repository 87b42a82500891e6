"""``tidewaiter schema``: the schema of flows and of settings."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.schema import json_schema
from tidewaiter.daemon.cli import main
from tidewaiter.daemon.flows import AnyFlow, parse_flow

EXAMPLES = Path(__file__).parents[2] / "examples"
CORPUS = Path(os.environ.get("CONFORMANCE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "flows"
FOLDERS = [EXAMPLES, *sorted(CORPUS.glob("*/"))]
"""The project's examples, and the flows of the corpus where there is one (``CONFORMANCE_CORPUS``)."""

BROKEN = {
    "an unknown property": ("    message: hi", "    mesage: hi"),
    "an unknown type": ("log.Log", "log.Lgo"),
    "no id": ("  - id: a\n    type", "  - type"),
    "a wrong duration": ("    message: hi", "    message: hi\n    timeout: 5 minutes"),
    "a wrong level": ("    message: hi", "    message: hi\n    level: LOUD"),
    "an unknown property of the flow": ("tasks:", "task: []\ntasks:"),
    "no tasks": ("namespace: demo", "namespace: demo\nerrors: 5"),
}
GOOD = "id: flow\nnamespace: demo\ntasks:\n  - id: a\n    type: log.Log\n    message: hi\n"


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft7Validator(json_schema(AnyFlow, "flow"))


def schema(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["schema", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    loaded: dict[str, Any] = json.loads(out)
    return loaded


def test_the_schema_of_flows(capsys: pytest.CaptureFixture[str]) -> None:
    """Names are those of YAML; every type with its short names is offered."""
    found = schema(capsys)
    assert {"id", "namespace", "tasks"} == set(found["required"])
    assert "log.Log" in found["definitions"]["Log"]["properties"]["type"]["anyOf"][0]["enum"]
    assert "allowFailure" in found["definitions"]["Log"]["properties"]


def test_the_schema_of_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """What a settings file may hold."""
    found = schema(capsys, "--settings")
    assert {"state_dir", "flows", "retry"} <= set(found["properties"])


def test_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a repository of flows, whose files name it in their first line."""
    assert main(["schema", "--output", str(tmp_path / "flow.json")]) == 0
    assert (capsys.readouterr().out, json.loads((tmp_path / "flow.json").read_text())["title"]) == (
        "",
        "Tidewaiter flow",
    )


@pytest.mark.parametrize(("good", "bad"), BROKEN.values(), ids=BROKEN.keys())
def test_an_editor_finds_it(validator: Any, good: str, bad: str) -> None:
    """A flow is fine, and broken by one change; loading it says the same."""
    broken = GOOD.replace(good, bad)
    with pytest.raises(ConfigError):
        parse_flow(broken, "", Expressions())
    assert (validator.is_valid(parse(GOOD, "").data), validator.is_valid(parse(broken, "").data)) == (True, False)


def loads(path: Path) -> bool:
    try:
        parse_flow(path.read_bytes().decode(), path.name, Expressions())
    except ConfigError:
        return False
    return True


def objections(validator: Any, path: Path) -> list[str]:
    """What the schema has against a flow; it cannot know what only the flow's defaults give."""
    data = parse(path.read_bytes().decode(), path.name).data
    defaults = {"pluginDefaults", "taskDefaults"} & data.keys()
    return [
        f"{path.name} {list(error.absolute_path)}: {error.message[:200]}"
        for error in validator.iter_errors(data)
        if not (defaults and error.validator == "required")
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_loads_fits(validator: Any, folder: Path) -> None:
    """An editor has nothing against a real flow that we accept."""
    flows = [path for path in sorted(folder.glob("*.y*ml")) if loads(path)]
    assert [objection for path in flows for objection in objections(validator, path)] == []
