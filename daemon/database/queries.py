"""
Named SQL: ``sql/*.sql`` holds statements, each under a line ``-- name: verb_noun``; numbered files are migrations.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@cache
def queries() -> Mapping[str, str]:
    """Give every named statement."""
    named: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql") and not _MIGRATION.fullmatch(file.name):
            parts = _NAME.split(file.read_text(encoding="utf-8"))
            named.update(zip(parts[1::2], (text.strip().rstrip(";") for text in parts[2::2]), strict=True))
    return MappingProxyType(named)


def migrations() -> Mapping[int, str]:
    """Give the migrations by their number, in order. Forward only: a number is never reused or changed."""
    found = {
        int(match[1]): file.read_text(encoding="utf-8")
        for file in files(__package__).joinpath("sql").iterdir()
        if (match := _MIGRATION.fullmatch(file.name))
    }
    return MappingProxyType(dict(sorted(found.items())))
