"""Keys that an uploader chose to do harm, from the listing to the tasks and back into the bucket."""

import json
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance.flows import flow, log, python, shell, trigger
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError
from faults.operation import Operation, operation_of
from faults.proxy import Proxy
from reliability.experiment import Figure, Scale, Setting
from reliability.scene import QUICK, Scene, first, md5, scene, sha256

KEYS = (
    # shells, options, templates, formats
    "$(touch pwned)", "`touch pwned`", "';touch pwned;'", '";touch pwned;"', "a|touch pwned", "a&touch pwned", "a;b",
    "-rf", "--help", "-", "{{ 7*7 }}", "{{ secret('AWS_SECRET_ACCESS_KEY') }}", "{% raw %}", "{# x #}", "${HOME}",
    "%s%n", "%", "%00", "a%2Fb", "a+b", "a%2Bb", "*", "?", "[a]", "~", "~root", "!x", "=cmd|' /C calc'!A0", "@SUM(1)",
    # paths
    "..", ".", "../x", "../../other/x", "a/../b", "a/./b", "a//b", "/abs", "//x", "C:\\x", "..\\x", "a\\..\\b",
    ".git/config", ".git/hooks/post-checkout", "__pycache__/x.pyc", ".ssh/authorized_keys", ".bashrc", "con.txt",
    # characters
    "a\0b", "a\nb", "a\r\nSet-Cookie: x", "a\tb", "\x01c", "\x1b[2J", "\x1b]52;c;eA==\x07", "\u202efdp.exe", "a\u2028b",
    "\ufeffbom", "e\u0301", "\u00e9", "\u0430dmin", "Case/x", "case/x", "trailing ", "trailing.", " leading", "a b",
    "<script>alert(1)</script>", '"><img src=x onerror=y>', "javascript:x", "a?b#c", "a&b<c>", "'", '"',
    # lengths
    "\U0001f600" * 50, "n" * 255, "n" * 300, "/".join(["d" * 60] * 15), "k" * 1020,
)  # fmt: skip
_EACH = {Scale.SHORT: 7, Scale.FULL: 1, Scale.LONG: 1}  # of so many keys one
_NAMED = "{{ trigger.objects | jq('[.[] | {key: .key, value: .uri}] | from_entries') | first | toJson }}"
_ALL_ENDED = {"SUCCESS", "WARNING", "FAILED", "KILLED"}


@dataclass(frozen=True, slots=True)
class _Forged:
    """A rule for *proxy*: listings show *keys*, which no store would take, besides what is there."""

    proxy: Proxy
    keys: Mapping[str, bytes]

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if operation_of(request) is not Operation.LIST or not request.query.get("prefix", "").startswith("raw/"):
            return None
        answer = await self.proxy.carry_out(request)
        entries = "".join(_entry(key, content) for key, content in self.keys.items())
        body = answer.body.replace(b"</ListBucketResult>", f"{entries}</ListBucketResult>".encode())
        return web.Response(status=answer.status, body=body, content_type="application/xml")


def _entry(key: str, content: bytes) -> str:
    name = urllib.parse.quote(key, safe="/")
    described = f"<ETag>&quot;{md5(content)}&quot;</ETag><Size>{len(content)}</Size>"
    return f"<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>{described}</Contents>"


async def hostile_keys(setting: Setting) -> list[Figure]:
    """
    Take in objects with hostile keys by MOVE and by NONE, with the keys as names of files, in variables and in logs.
    Nothing outside of the state directory and the two prefixes changes, nothing is stuck, and what is refused is told.
    """
    return [await _figure(setting, action) for action in ("MOVE", "NONE")]


async def _figure(setting: Setting, action: str) -> Figure:
    async with scene(setting, "hostile", **QUICK) as place:
        watched = {f"raw/{key}": f"content of {key!a}".encode() for key in KEYS[:: _EACH[setting.scale]]}
        stored = {key: content for key, content in watched.items() if await _put(place, key, content)}
        forged = {key: content for key, content in watched.items() if key not in stored}
        place.proxy.rules.append(_Forged(place.proxy, forged))
        canaries = _Canaries(place)
        await canaries.plant()
        _add_flow(place, action)
        place.daemon.start()
        await place.daemon.ready()
        stuck = await _stuck(place, len(watched))
        wrong = [*stuck, *await canaries.touched(), *_unreadable(place), *await _mishandled(place, stored, action)]
        parked = _parked(place)
        return Figure(
            f"hostile keys, {action}",
            "0 escapes, 0 stuck, refused ones told",
            f"{len(wrong)} violations with {len(watched)} keys ({len(forged)} only listed), {len(parked)} refused",
            met=not wrong,
            detail={
                "keys": len(watched),
                "only listed": [ascii(key) for key in forged],
                "refused": {ascii(key)[:80]: reason for key, reason in parked.items()},
                "states": (await place.daemon.trigger())["detections"],
                "executions": dict(Counter(item["state"] for item in await place.daemon.executions())),
                "violations": first(wrong),
            },
        )


def _parked(place: Scene) -> dict[str, str]:
    """The keys that were refused, with the reason."""
    return {item["key"]: item.get("reason") or item["error"] for item in place.daemon.logged("object_parked")}


async def _put(place: Scene, key: str, content: bytes) -> bool:
    """Whether the store takes *key* and lists it under that name."""
    try:
        await place.objects.put(key, content)
    except (BotoCoreError, ClientError, ValueError):
        return False
    return (await place.etags("raw/")).get(key) == md5(content)


def _add_flow(place: Scene, action: str) -> None:
    uri, key = "{{ trigger.objects[0].uri }}", "{{ trigger.objects[0].key }}"
    tasks = (
        log(f"arrived: {key}"),
        shell(
            "shell",
            f'sha256sum < data | cut -c -64 >> {place.daemon.ledger}; printf %s "$KEY" > seen',
            inputFiles={"data": uri},
            env={"KEY": key},
        ),
        python(
            "python",
            f"""
            import hashlib, os
            content = open("data", "rb").read()
            print("key:", os.environ["KEY"])
            open({str(place.daemon.ledger)!r}, "a").write(hashlib.sha256(content).hexdigest() + "\\n")
        """,
            inputFiles={"data": uri},
            env={"KEY": key},
        ),
        {"id": "named", "type": "io.kestra.plugin.core.storage.LocalFiles", "inputs": _NAMED, "allowFailure": True},
    )
    move_to = {"key": "archive/"} if action == "MOVE" else None
    watched = trigger(place.objects.bucket, action=action, moveTo=move_to, allowConcurrent=True, filter="BOTH")
    place.daemon.add_flow(flow(*tasks, triggers=[watched]))


async def _stuck(place: Scene, number: int) -> list[str]:
    """Wait until every key has come to an end, and give what has not."""

    async def ended() -> bool:
        counts = (await place.daemon.trigger())["detections"]
        live = any(counts.get(state, 0) for state in ("CLAIMED", "STORED", "COPIED", "ACTION_BLOCKED"))
        executions = await place.daemon.executions()
        return counts and not live and all(item["state"] in _ALL_ENDED for item in executions)

    try:
        await place.daemon.until(ended, "every key to come to an end", seconds=30 + number)
    except AssertionError:
        found = await place.daemon.trigger()
        return [f"stuck: {found['detections']}, {found['problem']}"]
    return []


@dataclass
class _Canaries:
    """What must stay as it is: files around the state directory, another bucket, and the rest of this one."""

    place: Scene
    _before: tuple[Any, ...] = ()

    async def plant(self) -> None:
        for name in ("x", "b", "pwned-not", "other/x", "archive/x"):
            file = self.place.daemon.folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_text("canary")
        for key in ("x", "b", "other/x", "abs"):
            await self.place.objects.put(key, b"canary")
        self._before = await self._seen()

    async def touched(self) -> list[str]:
        after = await self._seen()
        return [f"changed: {set(old) ^ set(new)}" for old, new in zip(self._before, after, strict=True) if old != new]

    async def _seen(self) -> tuple[Any, ...]:
        daemon = self.place.daemon
        own = {daemon.state, daemon.flows, daemon.ledger, *daemon.folder.glob("daemon-*.log")}
        files = {str(path): path.stat().st_mtime_ns for path in _files(daemon.folder, own)}
        bucket = await self.place.etags("")
        rest = {key: etag for key, etag in bucket.items() if not key.startswith(("raw/", "archive/", ".tidewaiter/"))}
        return tuple(tuple(sorted(found.items())) for found in (files, rest))


def _files(folder: Path, own: set[Path]) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not own & {path, *path.parents}]


def _unreadable(place: Scene) -> list[str]:
    """Lines of the log that are not one JSON object each."""
    return [f"log: {line!a}" for line in place.daemon.log.read_bytes().split(b"\n") if line and not _is_record(line)]


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


async def _mishandled(place: Scene, stored: Mapping[str, bytes], action: str) -> list[str]:
    """Objects that were not refused and not processed by both tasks, or not archived with just their bytes."""
    refused = _parked(place)
    taken = {key: content for key, content in stored.items() if key not in refused}
    lines = Counter(place.daemon.done())
    times = {key: lines[sha256(content)] for key, content in taken.items()}
    archived = set((await place.archive()).values())
    left = await place.etags("raw/")
    moved = action == "MOVE"
    return [
        *(f"processed {number} times: {key!a}" for key, number in times.items() if number != 2),
        *(f"not archived: {key!a}" for key, content in taken.items() if moved and md5(content) not in archived),
        *(f"touched though refused: {key!a}" for key in refused.keys() & stored.keys() if key not in left),
        *(f"not left alone: {key!a}" for key in taken if not moved and key not in left),
    ]
