"""The two flows that Tidewaiter was made for, as they stand in ``examples/``."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acceptance.driver import Daemon
from stores.seaweedfs import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
CLEAN = """\
import csv

with open("data.csv", newline="") as messy, open("clean_dataset.csv", "w", newline="") as clean:
    rows = csv.writer(clean)
    rows.writerows([cell.strip() for cell in row] for row in csv.reader(messy) if any(row))
"""
PIP_SETTINGS = ("cert", "default_timeout", "extra_index_url", "find_links", "index_url", "proxy", "trusted_host")


def _repository(folder: Path) -> Path:
    """Make a git repository with the script that the flow calls, on the branch it names."""
    script = folder / "scripts" / "clean_messy_dataset.py"
    script.parent.mkdir(parents=True)
    script.write_text(CLEAN)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "Clean"]):
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        subprocess.run(["git", *arguments], cwd=folder, check=True, env=environment)
    return folder


@pytest.fixture
async def seed_bucket(s3: Any) -> str:
    """The bucket that the seed's flow names; the flow is not changed, so it cannot be another one."""
    name = "declarative-orchestration"
    await s3.create_bucket(Bucket=name)
    return name


async def test_s3_trigger_commands(
    daemons: Callable[..., Daemon], seaweedfs: Store, s3: Any, seed_bucket: str, tmp_path: Path
) -> None:
    """A CSV lands under ``raw/``: it is archived, cleaned by the cloned script, and its result can be downloaded."""
    repository = _repository(tmp_path / "repository")
    gitconfig = tmp_path / "gitconfig"
    gitconfig.write_text(
        f'[url "{repository.as_uri()}"]\n\tinsteadOf = https://github.com/kestra-io/examples\n', encoding="utf-8"
    )
    settings = {"CONFIG_FILE": str(gitconfig), "ALLOWED_PROTOCOLS": "https,file"}
    daemon = daemons(seaweedfs, **{f"TIDEWAITER_GIT__{name}": value for name, value in settings.items()})
    daemon.add_flow((EXAMPLES / "s3TriggerCommands.yaml").read_text(encoding="utf-8"))
    daemon.start()
    await daemon.ready()
    await s3.put_object(Bucket=seed_bucket, Key="raw/orders.csv", Body=b"id, amount\n\n1 , 20\n")
    (item,) = await daemon.until_ended(1)
    assert item["state"] == "SUCCESS", await daemon.task_log(item["id"])
    listed = await s3.list_objects_v2(Bucket=seed_bucket)
    assert [found["Key"] for found in listed["Contents"]] == ["archive/raw/orders.csv"]
    downloaded = await daemon.call("executions", "download", item["id"], "--output", str(tmp_path / "out"))
    assert downloaded.returncode == 0, downloaded.stderr
    assert (tmp_path / "out" / "output" / "clean_dataset.csv").read_bytes() == b"id,amount\r\n1,20\r\n"
    assert (tmp_path / "out" / "output" / "data.csv").exists()


def _pip_settings() -> dict[str, str]:
    """How this machine's pip reaches the registry; without any, pip's own defaults."""
    own = {name: value for name, value in os.environ.items() if name.removeprefix("PIP_").lower() in PIP_SETTINGS}
    user = Path.home() / ".config" / "pip" / "pip.conf"
    return own | ({"PIP_CONFIG_FILE": str(user)} if user.exists() else {})


async def test_pip(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """The flow installs what its ``requirements.txt`` asks for, the package ``kestra`` too, and prints its methods."""
    daemon = daemons(seaweedfs)
    settings = daemon.folder / "settings.yaml"
    lines = (f"    {name}: '{value}'\n" for name, value in _pip_settings().items())
    settings.write_text("runners:\n  docker: process\n  environment:\n    NO_COLOR: '1'\n" + "".join(lines))
    daemon.options += ["--config", str(settings)]
    # The flow of the seed has no trigger; this one lets it start, its tasks are untouched.
    started = f"""
triggers:
  - id: start
    type: io.kestra.plugin.aws.s3.Trigger
    action: NONE
    interval: PT1S
    bucket: {objects.bucket}
    accessKeyId: "{{{{ secret('AWS_ACCESS_KEY_ID') }}}}"
    secretKeyId: "{{{{ secret('AWS_SECRET_ACCESS_KEY') }}}}"
"""
    daemon.add_flow((EXAMPLES / "pip.yaml").read_text(encoding="utf-8") + started)
    await objects.put("go")
    code = await daemon.once(seconds=240)
    (item,) = await daemon.executions()
    said = await daemon.task_log(item["id"])
    assert (code, item["state"]) == (0, "SUCCESS"), said
    (methods,) = [line for line in said.splitlines() if line.startswith("Kestra methods: [")]
    assert "'outputs'" in methods
    assert "'counter'" in methods
