"""What ``tidewaiter doctor`` finds on machines that are set up well, and on others."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores.seaweedfs import Store

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.doctor import machine
from tidewaiter.daemon.doctor.finding import Finding
from tidewaiter.daemon.doctor.flows import containers, load, secrets
from tidewaiter.daemon.doctor.stores import _clock
from tidewaiter.daemon.records import parse_timestamp
from tidewaiter.daemon.secrets import Secrets

FLOW = """\
id: orders
namespace: demo
tasks: [{id: a, type: log.Log, message: "{{ secret('TOKEN') }}"}]
triggers: [{id: arrival, type: aws.s3.Trigger, bucket: harbour, prefix: raw/, action: DELETE}]
"""
SHELL = """\
id: shell
namespace: demo
tasks:
  - id: d
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks: [{id: a, type: io.kestra.plugin.scripts.shell.Commands, commands: [ls]}]
"""
MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw
30 22 0:25 / /srv/my\\040disk rw - ext4 /dev/sda1 rw
31 22 0:26 / /srv rw - nfs4 host:/x rw
"""


def levels(findings: Any) -> list[tuple[str, str]]:
    return [(finding.subject, finding.level) for finding in findings]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("path", "kind"), [("/srv/x", "nfs4"), ("/srv/my disk/x", "ext4"), ("/home", "overlay"), ("/srvx", "overlay")]
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    """The innermost mount counts; names with blanks are spelled in octal there."""
    assert machine.kind_of(Path(path), MOUNTS) == kind


def test_a_state_directory_on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks and fsync are promises of a local disk."""
    assert [machine._file_system(kind).level for kind in ("ext4", "tmpfs", "nfs4")] == ["ok", "warning", "problem"]


def test_disk_space() -> None:
    """Little is a warning, none a problem."""
    assert [machine._space(free).level for free in (1 << 40, 1 << 29, 1 << 20)] == ["ok", "warning", "problem"]


def test_a_state_directory_that_can_be_made(tmp_path: Path) -> None:
    """It need not exist; nothing is made by looking."""
    found = list(machine.state_directory(tmp_path / "a" / "b"))
    assert found[0] == Finding("state directory", "ok", f"{tmp_path}/a/b (will be made)")
    assert list(tmp_path.iterdir()) == []


async def test_a_journal(tmp_path: Path) -> None:
    """None yet, a whole one, one in use, and one that something has been written into."""
    path = tmp_path / "tidewaiter.db"
    found = [*machine.journal(tmp_path, daemon=False)]
    await SqliteDatabase.open(path).close()
    found += [*machine.journal(tmp_path, daemon=False), *machine.journal(tmp_path, daemon=True)]
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)
    found += machine.journal(tmp_path, daemon=False)
    assert [finding.level for finding in found] == ["ok", "ok", "ok", "problem"]
    assert found[1].message.endswith("whole")


def test_flows(tmp_path: Path, expressions: Expressions) -> None:
    """How many there are; the first mistake where there is one."""
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    good, bad = write(tmp_path / "good", a=FLOW), write(tmp_path / "bad", a=FLOW, b=FLOW)
    found = [load(paths, expressions).findings[0] for paths in ([], [good], [bad], [tmp_path / "none"])]
    assert [finding.level for finding in found] == ["warning", "ok", "problem", "problem"]
    assert [found[1].message, f"{bad}/b.yaml:1:1" in found[2].message] == ["flows: 1, triggers: 1", True]


def test_missing_secrets_are_named(tmp_path: Path, expressions: Expressions) -> None:
    """With the file that asks and where to put them; values are not shown."""
    flows = load([write(tmp_path, a=FLOW)], expressions).flows.flows
    [missing] = secrets(flows, Secrets({}))
    assert (missing.level, "'TOKEN'" in missing.message, "a.yaml" in missing.message) == ("problem", True, True)
    assert levels(secrets(flows, Secrets({"TOKEN": "s3cr3t"}))) == [("secrets", "ok")]


def test_tasks_that_ask_for_a_container(tmp_path: Path, expressions: Expressions) -> None:
    """Kestra's default is one; without an operator's word they fail."""
    flows = load([write(tmp_path, a=FLOW, b=SHELL)], expressions).flows.flows
    assert levels(containers(flows, "refuse")) == [("containers", "problem")]
    assert levels(containers(flows, "process")) == [("containers", "ok")]
    assert levels(containers({"a": flows["demo.orders"]}, "refuse")) == []


def test_a_clock_that_is_off() -> None:
    """S3 refuses what is signed at another time."""
    assert _clock("s3://b", parse_timestamp("2020-01-01T00:00:00Z")).level == "problem"
    assert _clock("s3://b", None).level == "ok"


Doctor = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def doctor(tmp_path: Path, seaweedfs: Store) -> Doctor:
    """Runs the command on one flow against the store, with other environment variables if given."""

    def run(flow: str, *options: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
        (tmp_path / "flows").mkdir(exist_ok=True)
        write(tmp_path / "flows", a=flow)
        settings = {
            "PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": seaweedfs.endpoint_url, "SECRET_TOKEN": "eA==",
            "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id, "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key_id,
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        command = [sys.executable, "-m", "tidewaiter.daemon", "doctor", "--json", "--flows", "flows", *options]
        done = subprocess.run(
            command, cwd=tmp_path, env=settings | environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def about(findings: list[dict[str, Any]], subject: str) -> list[str]:
    return [finding["level"] for finding in findings if finding["subject"] == subject]


async def test_a_store_that_works(doctor: Doctor, bucket_name: str, s3: Any) -> None:
    """Reached, listed, and nothing written; with --probe it says how it deletes, and leaves nothing behind."""
    flow = FLOW.replace("harbour", bucket_name)
    code, findings = doctor(flow)
    assert (code, about(findings, f"s3://{bucket_name}")) == (0, ["ok", "ok", "warning"])
    code, findings = doctor(flow, "--probe")
    assert (code, about(findings, f"s3://{bucket_name}")) == (0, ["ok", "ok", "ok"])
    assert "Contents" not in await s3.list_objects_v2(Bucket=bucket_name)


@pytest.mark.parametrize(
    ("environment", "levels", "words"),
    [
        ({}, ["ok", "problem"], "NoSuchBucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, ["ok", "problem"], "SignatureDoesNotMatch"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ["problem"], "cannot reach the store"),
    ],
)
def test_stores_that_do_not(doctor: Doctor, environment: dict[str, str], levels: list[str], words: str) -> None:
    """A missing bucket, wrong credentials, an endpoint where nobody is: exit code 1, with the field's word for it."""
    code, findings = doctor(FLOW.replace("harbour", "no-such-bucket"), **environment)
    assert (code, about(findings, "s3://no-such-bucket")) == (1, levels)
    assert words in findings[-1]["message"]


def test_a_trigger_that_cannot_be_rendered(doctor: Doctor) -> None:
    """It is named, and its store is not asked."""
    code, findings = doctor(FLOW.replace("raw/", "\"{{ secret('NOPE') }}\""))
    assert (code, about(findings, "demo/orders/arrival")) == (1, ["problem"])
    assert about(findings, "s3://harbour") == []
