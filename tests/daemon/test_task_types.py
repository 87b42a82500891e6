"""Task types that work with what the daemon lends them, in whole flows."""

import json
from typing import Any

from workshop.builders import Workshop

from tidewaiter.config.connection import Connection


def flow(*tasks: dict[str, Any]) -> str:
    """The tasks of a flow as YAML."""
    return "tasks:\n" + "".join(f"  - {json.dumps(task)}\n" for task in tasks)


def shell(identifier: str, *commands: str) -> dict[str, Any]:
    return {"id": identifier, "type": "shell.Commands", "runner": "PROCESS", "commands": commands}


async def test_a_working_directory_finds_what_it_kept(workshop: Workshop) -> None:
    """The next execution of the same flow begins with the files of the last one that succeeded."""
    work = shell(
        "count", "mkdir -p kept", "echo x >> kept/log", "echo '::{\"outputs\":{\"n\":'$(wc -l < kept/log)'}}::'"
    )
    fail = shell("fail", "test $(wc -l < kept/log) != 2")
    body = flow(
        {"id": "dir", "type": "flow.WorkingDirectory", "cache": {"patterns": ["kept/*"]}, "tasks": [work, fail]}
    )
    counts = []
    for _ in range(3):
        ended = await workshop.do(body)
        counts.append((ended.state, (await workshop.task_runs(ended))["dir/count"].outputs["vars"]["n"]))
    assert counts == [("SUCCESS", 1), ("FAILED", 2), ("FAILED", 2)]


async def test_objects_go_out_and_come_back(
    workshop: Workshop, connection: Connection, bucket_name: str, s3: Any
) -> None:
    """What arrived is uploaded, listed and downloaded, without a credential in a log or an output."""
    store = {
        "bucket": bucket_name,
        "region": "us-east-1",
        "endpointOverride": connection.endpoint_url,
        "accessKeyId": connection.access_key_id,
        "secretKeyId": connection.secret_key_id,
    }
    body = flow(
        {"id": "up", "type": "aws.s3.Upload", "from": "{{ trigger.objects[0].uri }}", "key": "out/a.csv", **store},
        {"id": "list", "type": "aws.s3.List", "prefix": "{{ outputs.up.key }}", **store},
        {"id": "down", "type": "aws.s3.Download", "key": "{{ outputs.list.objects[0].key }}", **store},
        {"id": "text", "type": "debug.Return", "format": "{{ read(outputs.down.uri) }}"},
    )
    ended = await workshop.do(body, content="a;b\n")
    runs = await workshop.task_runs(ended)
    assert (ended.state, runs["text"].outputs) == ("SUCCESS", {"value": "a;b\n"})
    told = json.dumps([dict(run.outputs) for run in runs.values()]) + "".join(await workshop.log(ended))
    assert (connection.secret_key_id or "-") not in told
    await s3.delete_object(Bucket=bucket_name, Key="out/a.csv")


async def test_files_are_made_and_deleted(workshop: Workshop) -> None:
    """A file that a task made can be split, put together, measured and deleted; an object in custody stays."""
    body = flow(
        {"id": "write", "type": "storage.Write", "content": "1\n2\n3\n", "extension": ".txt"},
        {"id": "split", "type": "storage.Split", "from": "{{ outputs.write.uri }}", "rows": 2},
        {"id": "concat", "type": "storage.Concat", "files": "{{ outputs.split.uris }}"},
        {"id": "size", "type": "storage.Size", "uri": "{{ outputs.concat.uri }}"},
        {"id": "drop", "type": "storage.Delete", "uri": "{{ outputs.write.uri }}"},
        {"id": "keep", "type": "storage.Delete", "uri": "{{ trigger.objects[0].uri }}"},
    )
    ended = await workshop.do(body)
    runs = await workshop.task_runs(ended)
    assert (runs["size"].outputs, runs["drop"].outputs["deleted"]) == ({"size": 6}, True)
    assert (ended.state, "no task of this execution made it" in (runs["keep"].error or "")) == ("FAILED", True)


async def test_an_assertion_says_what_does_not_hold(workshop: Workshop) -> None:
    """The conditions are in the log as they were written, the number in the reason."""
    conditions = ["{{ trigger.objects[0].size == 4 }}", "{{ kv('none', errorOnMissing=false) == 1 }}"]
    ended = await workshop.do(flow({"id": "a", "type": "execution.Assert", "conditions": conditions}))
    assert (ended.state, ended.error) == ("FAILED", "task 'a': 2 assertions failed")
    log = await workshop.log(ended)
    assert all(any(condition in line for line in log) for condition in conditions)
