"""The flows that are measured, as plain data; JSON is YAML."""

from typing import Any

Data = dict[str, Any]


def flow(name: str, trigger: Data, *tasks: Data) -> Data:
    """One flow with one trigger; without *tasks* its execution does next to nothing."""
    return {"id": name, "namespace": "bench", "tasks": list(tasks) or [_nothing()], "triggers": [trigger]}


def trigger(bucket: str, prefix: str, **properties: Any) -> Data:
    """Move what arrives below *prefix* to ``archive/<prefix>``, looking every second; *properties* win."""
    return {
        "id": "arrival",
        "type": "io.kestra.plugin.aws.s3.Trigger",
        "bucket": bucket,
        "prefix": prefix,
        "interval": "PT1S",
        "action": "MOVE",
        "moveTo": {"key": f"archive/{prefix}"},
        "accessKeyId": "{{ secret('AWS_ACCESS_KEY_ID') }}",
        "secretKeyId": "{{ secret('AWS_SECRET_ACCESS_KEY') }}",
        "region": "us-east-1",
    } | properties


def shell(name: str, command: str) -> Data:
    """One task that runs one command in a shell, as a process."""
    return {
        "id": name,
        "type": "io.kestra.plugin.scripts.shell.Commands",
        "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"},
        "commands": [command],
    }


def _nothing() -> Data:
    return {"id": "nothing", "type": "io.kestra.plugin.core.debug.Return", "format": "{{ execution.id }}"}
