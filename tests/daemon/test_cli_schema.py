"""``tidewaiter schema``."""

import json
from typing import Any

import pytest

from tidewaiter.daemon.cli import main


def schema(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["schema", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    loaded: dict[str, Any] = json.loads(out)
    return loaded


def test_the_schema_of_flows(capsys: pytest.CaptureFixture[str]) -> None:
    """Names are those of YAML; every type with its short names is offered."""
    found = schema(capsys)
    assert found["$schema"].startswith("https://json-schema.org/")
    assert {"id", "namespace", "tasks"} == set(found["required"])
    assert "log.Log" in found["$defs"]["Log"]["properties"]["type"]["enum"]
    assert "allowFailure" in found["$defs"]["Log"]["properties"]


def test_unknown_properties_are_refused_by_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """An editor finds the same typing mistakes as we do."""
    assert schema(capsys)["additionalProperties"] is False


def test_the_schema_of_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """What a settings file may hold."""
    found = schema(capsys, "--settings")
    assert {"state_dir", "flows", "retry"} <= set(found["properties"])
