"""A start on a journal with many live rows: how long until the first look at the bucket."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reliability.experiment import Figure, Scale, Setting
from reliability.scene import Scene, scene

from tidewaiter.daemon.records import execution_id, new_id

_ROWS = {Scale.SHORT: 10_000, Scale.FULL: 100_000, Scale.LONG: 100_000}
_PER_EXECUTION = 25
# The short version runs beside other tests, which share the processors.
_LIMIT_SECONDS = {Scale.SHORT: 20.0, Scale.FULL: 5.0, Scale.LONG: 5.0}


@dataclass(frozen=True, slots=True)
class _Journal:
    """What is in the journal before the start: *rows* makes the rows of each table, by its name."""

    name: str
    rows: Callable[[Scene, int], Iterator[tuple[str, Mapping[str, Any]]]]


async def restart(setting: Setting) -> list[Figure]:
    """
    Start with many detections STORED, their executions waiting for the action, and with many PARKED and remembered:
    from the start of the process to its first LIST takes at most 5 s.
    """
    return [await _figure(setting, journal) for journal in (_Journal("stored", _stored), _Journal("parked", _parked))]


async def _figure(setting: Setting, journal: _Journal) -> Figure:
    number = _ROWS[setting.scale]
    async with scene(setting, "restart") as place:
        place.watch(action="DELETE", moveTo=None, maxKeys=_PER_EXECUTION, maxFiles=_PER_EXECUTION, prefetch=1_000_000)
        # It makes the journal, and registers the flow.
        assert await place.daemon.once() == 0, place.daemon.last_words()
        await asyncio.to_thread(_insert, place, journal.rows(place, number))
        place.proxy.requests.clear()
        began = time.monotonic()
        place.daemon.start()
        listed = await _until_listed(place)
        seconds = listed - began
        await place.daemon.ready()
        limit = _LIMIT_SECONDS[setting.scale]
        return Figure(
            f"start with {number} detections {journal.name}",
            f"<= {limit:g} s to the first poll",
            f"{seconds:.1f} s",
            met=seconds <= limit,
            detail={"rows": number, "seconds": seconds, "peak memory MB": _peak_megabytes(place)},
        )


async def _until_listed(place: Scene) -> float:
    def listed() -> bool:
        return any("list-type=2" in path for _, path in place.proxy.requests)

    await place.daemon.until(listed, "the first LIST", seconds=120)
    return time.monotonic()


def _peak_megabytes(place: Scene) -> int:
    assert place.daemon.process is not None
    status = Path(f"/proc/{place.daemon.process.pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) // 1024


def _insert(place: Scene, rows: Iterator[tuple[str, Mapping[str, Any]]]) -> None:
    with closing(sqlite3.connect(place.daemon.state / "tidewaiter.db")) as database, database:
        for table, row in rows:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            database.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)


def _stored(place: Scene, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Detections that are to be deleted at their source; it is empty, so that the store says 404 to each."""
    for at in range(number):
        if at % _PER_EXECUTION == 0:
            batch = new_id()
            yield "execution", _execution(batch)
        yield "detection", _detection(place, at, state="STORED", batch_id=batch, uri="kestra:///none")


def _parked(place: Scene, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for at in range(number):
        row = _detection(place, at, state="PARKED", batch_id=new_id(), error="refused")
        yield "detection", row
        remembered = ("trigger_key", "bucket", "object_key", "etag", "last_modified")
        yield "seen", {name: row[name] for name in remembered}


def _detection(place: Scene, at: int, **more: Any) -> dict[str, Any]:
    present = datetime.now(UTC).isoformat()
    return {
        "id": new_id(),
        "trigger_key": "acceptance/arrivals/arrival",
        "ordinal": at % _PER_EXECUTION,
        "flow_revision": 1,
        "bucket": place.objects.bucket,
        "object_key": f"raw/{at:06}.csv",
        "etag": f"{at:032x}",
        "size": 1,
        "last_modified": present,
        "change_type": "CREATE",
        "action": "DELETE",
        "updated_at": present,
        **more,
    }


def _execution(batch: str) -> dict[str, Any]:
    return {
        "id": execution_id(batch),
        "batch_id": batch,
        "namespace": "acceptance",
        "flow_id": "arrivals",
        "flow_revision": 1,
        "trigger_key": "acceptance/arrivals/arrival",
        "trigger_type": "io.kestra.plugin.aws.s3.Trigger",
        "state": "CREATED",
        "held": 1,
        "created_at": datetime.now(UTC).isoformat(),
    }
