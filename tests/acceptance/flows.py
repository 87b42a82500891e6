"""Flows for the acceptance tests, as plain data."""

import textwrap
from typing import Any

Data = dict[str, Any]


def trigger(bucket: str, **properties: Any) -> Data:
    """The seed's trigger: one file per execution, moved from ``raw/`` to ``archive/``, keys from secrets."""
    seed = {
        "id": "arrival",
        "type": "io.kestra.plugin.aws.s3.Trigger",
        "bucket": bucket,
        "prefix": "raw/",
        "maxKeys": 1,
        "interval": "PT0.2S",
        "filter": "FILES",
        "action": "MOVE",
        "moveTo": {"key": "archive/"},
        "accessKeyId": "{{ secret('AWS_ACCESS_KEY_ID') }}",
        "secretKeyId": "{{ secret('AWS_SECRET_ACCESS_KEY') }}",
        "region": "{{ secret('AWS_DEFAULT_REGION') }}",
    } | properties
    return {name: value for name, value in seed.items() if value is not None}


def flow(*tasks: Data, triggers: list[Data], name: str = "arrivals") -> Data:
    return {"id": name, "namespace": "acceptance", "tasks": list(tasks), "triggers": triggers}


def log(message: str = "{{ trigger.objects | jq('.[].key') | first }}", name: str = "log") -> Data:
    return {"id": name, "type": "io.kestra.plugin.core.log.Log", "message": message}


def shell(name: str, *commands: str, **properties: Any) -> Data:
    return {
        "id": name,
        "type": "io.kestra.plugin.scripts.shell.Commands",
        "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"},
        "commands": list(commands),
    } | properties


def python(name: str, script: str, **properties: Any) -> Data:
    return {
        "id": name,
        "type": "io.kestra.plugin.scripts.python.Script",
        "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"},
        "script": textwrap.dedent(script),
    } | properties


def hashing(name: str = "hash") -> Data:
    """Tell the SHA-256 of the object that has arrived, as the output ``sha256``."""
    return shell(
        name,
        """sum=$(sha256sum < data | cut -c -64)""",
        """echo "::{\\"outputs\\":{\\"sha256\\":\\"$sum\\"}}::\"""",
        inputFiles={"data": "{{ trigger.objects[0].uri }}"},
    )
