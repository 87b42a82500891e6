"""``tidewaiter doctor`` beside a running daemon."""

import json
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger


async def test_the_daemon_is_asked_what_it_knows(daemon: Daemon, objects: Any) -> None:
    """Its journal is left alone, and what it found out of the store needs no second probe."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    await daemon.until_looked()
    said = await daemon.call("doctor", "--flows", str(daemon.flows), "--json")
    findings = json.loads(said.stdout)
    assert (said.returncode, [item for item in findings if item["level"] == "problem"]) == (0, [])
    assert "in use by the daemon" in next(item["message"] for item in findings if item["subject"] == "journal")
    assert findings[-1]["message"] == "deletes conditionally, says the daemon"
