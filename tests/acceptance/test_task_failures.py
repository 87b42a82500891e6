"""What becomes of an execution whose task cannot do its work: its state, and the reason in its log."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from acceptance.driver import Daemon, make_daemon
from acceptance.flows import flow, log, python, shell, trigger
from acceptance.objects import Objects, plain_client
from stores.seaweedfs import Store

Outcomes = list[tuple[dict[str, Any], str]]
"""For each case its execution, and what its tasks said."""


def _files(name: str, **properties: Any) -> dict[str, Any]:
    return {"id": name, "type": "io.kestra.plugin.core.storage.LocalFiles"} | properties


OUTSIDE = f"{tempfile.gettempdir()}/written-outside"
FAILURES = [
    pytest.param(log("{{ secret('NOT_THERE') }}"), "FAILED", ("NOT_THERE", "SECRET_NOT_THERE"), id="missing secret"),
    pytest.param(log("{{ outputs.before.nope }}"), "FAILED", ("nope",), id="undefined variable"),
    pytest.param(log("{{ nowhere }}"), "FAILED", ("nowhere",), id="undefined name"),
    pytest.param(_files("t", outputs=["*.parquet"]), "SUCCESS", (), id="glob that matches nothing"),
    pytest.param(_files("t", inputs={"../evil": "x"}), "FAILED", ("../evil",), id="input with .."),
    pytest.param(_files("t", inputs={OUTSIDE: "x"}), "FAILED", (OUTSIDE,), id="absolute input"),
    pytest.param(_files("t", inputs={"a/../../evil": "x"}), "FAILED", ("a/../../evil",), id="input that leaves"),
    pytest.param(
        _files("t", inputs={"data": "kestra:///other/flow/executions/1/data"}),
        "FAILED",
        ("kestra:///other/flow/executions/1/data",),
        id="file of another execution",
    ),
    pytest.param(
        shell("t", "ln -s /etc leak", outputFiles=["leak/passwd", "leak/**", "leak"]),
        "SUCCESS",
        (),
        id="symlink that leaves",
    ),
    pytest.param(
        shell("t", "no-such-program --now"), "FAILED", ("no-such-program", "not found", "127"), id="command not there"
    ),
    pytest.param(
        shell("t", "true", interpreter=["/no/such/shell", "-c"]),
        "FAILED",
        ("/no/such/shell", "not found"),
        id="interpreter not there",
    ),
    pytest.param(python("t", "raise ValueError('the why')"), "FAILED", ("the why", "code 1"), id="failing script"),
    pytest.param(shell("t", "kill -9 $$"), "FAILED", ("SIGKILL",), id="killed by a signal"),
    pytest.param(shell("t", "echo careful >&2"), "WARNING", ("careful", "warningOnStdErr"), id="stderr warns"),
    pytest.param(shell("t", "sleep 60", timeout="PT0.3S"), "FAILED", ("timed out", "PT0.3S"), id="timeout"),
    pytest.param(
        {"id": "t", "type": "io.kestra.plugin.git.Clone", "url": "file:///etc"},
        "FAILED",
        ("file", "git.allowed_protocols"),
        id="protocol not allowed",
    ),
]


@pytest.fixture(scope="module")
def outcomes(seaweedfs: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """Every flow of the table, run to its end by one daemon: what became of each, by its task's place in the table."""
    daemon = make_daemon(tmp_path_factory.mktemp("outcomes") / "d", seaweedfs)
    with closing(daemon), ThreadPoolExecutor(1) as pool:
        yield pool.submit(asyncio.run, _outcomes(daemon, seaweedfs)).result()


async def _outcomes(daemon: Daemon, store: Store) -> Outcomes:
    bucket = f"test-{uuid.uuid4()}"
    async with plain_client(store) as client:
        await client.create_bucket(Bucket=bucket)
        objects = Objects(client, store, bucket)
        for number, case in enumerate(FAILURES):
            watched = trigger(bucket, prefix=f"raw/{number}/", moveTo={"key": f"archive/{number}/"}, interval="PT1M")
            tasks = (shell("before", "true"), case.values[0], log("went on", "after"))
            daemon.add_flow(flow(*tasks, triggers=[watched], name=f"case-{number}"), f"{number}.yaml")
            await objects.put(f"raw/{number}/a.csv")
        assert await daemon.once(seconds=90) == 1
        assert sorted(await objects.keys()) == sorted(f"archive/{number}/a.csv" for number in range(len(FAILURES)))
    executions = {item["flowId"]: await daemon.ask(f"executions/{item['id']}") for item in await daemon.executions()}
    return [
        (item, await daemon.task_log(item["id"]))
        for item in (executions[f"case-{number}"] for number in range(len(FAILURES)))
    ]


@pytest.mark.parametrize("number", [pytest.param(at, id=str(case.id)) for at, case in enumerate(FAILURES)])
def test_task(number: int, outcomes: Outcomes) -> None:
    """The state is the one Kestra gives, the log says why, and nothing is captured that must not be."""
    _, state, words = FAILURES[number].values
    item, said = outcomes[number]
    assert item["state"] == state, said
    assert [word for word in words if word not in said] == [], said
    assert ("went on" in said) is (state != "FAILED")
    assert not item["taskRuns"][1]["outputs"].get("outputFiles")


def test_nothing_was_written_outside(outcomes: Outcomes) -> None:
    """An absolute name of an input was refused before anything was written there."""
    assert outcomes
    assert not Path(OUTSIDE).exists()


async def test_container_refused(daemon: Daemon, objects: Any) -> None:
    """Where no engine is configured a container task fails, and the hint names the setting that runs it on the host."""
    del daemon.environment["TIDEWAITER_RUNNERS__DOCKER"]
    await objects.put("raw/a.csv")
    task = {"id": "t", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["true"]}
    daemon.add_flow(flow(task, triggers=[trigger(objects.bucket)]))
    assert await daemon.once() == 1
    item = await daemon.execution()
    assert item["state"] == "FAILED"
    assert "runners.docker: process" in await daemon.task_log(item["id"])


async def test_secrets_stay_inside(daemon: Daemon, objects: Any) -> None:
    """A program sees none of the daemon's secrets, and one that is handed to it is masked in every log."""
    await objects.put("raw/a.csv")
    seen = shell("t", "env", 'echo "the key is $KEY"', env={"KEY": "{{ secret('AWS_SECRET_ACCESS_KEY') }}"})
    daemon.add_flow(flow(seen, triggers=[trigger(objects.bucket)]))
    assert await daemon.once() == 0
    said = await daemon.task_log((await daemon.execution())["id"])
    assert "the key is " in said
    assert "SECRET_AWS" not in said
    assert objects.store.secret_key_id not in said + daemon.log.read_text()
