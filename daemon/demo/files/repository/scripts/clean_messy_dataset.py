#!/usr/bin/env python3
"""
Clean tide gauge readings: read ``data.csv`` (columns station, time, level), write ``clean_dataset.csv``.

Accepts comma or semicolon between columns, decimal points or commas, levels in metres or centimetres, three ways to
write a time (UTC). Gives one row for each station and time, in that order, with levels in metres. Rows that lack a
value or hold one that cannot be read are left out, as are duplicates.
"""

from __future__ import annotations

import csv
import re
import sys
from datetime import datetime
from pathlib import Path

TIMES = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M")
LEVEL = re.compile(r"(-?\d+(?:[.,]\d+)?)\s*(m|cm)?", re.IGNORECASE)


def read(path: Path) -> list[dict[str, str]]:
    """Give the rows of a CSV file, with column names in lower case and nothing around the values."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        delimiter = ";" if ";" in header else ","
        names = [name.strip().lower() for name in header.split(delimiter)]
        reader = csv.DictReader(file, names, delimiter=delimiter, restval="")
        return [{name: row[name].strip() for name in names} for row in reader]


def station(text: str) -> str:
    """Give the name as it is written in lists: small letters, single spaces."""
    return " ".join(text.lower().split())


def time(text: str) -> str | None:
    """Give a time as ISO 8601, None if it is not one."""
    for form in TIMES:
        try:
            return datetime.strptime(f"{text} +0000", f"{form} %z").strftime("%Y-%m-%dT%H:%MZ")
        except ValueError:
            continue
    return None


def level(text: str) -> float | None:
    """Give a level in metres, None if it is not one."""
    match = LEVEL.fullmatch(text)
    if match is None:
        return None
    value = float(match[1].replace(",", "."))
    return value / 100 if (match[2] or "").lower() == "cm" else value


def clean(rows: list[dict[str, str]]) -> dict[tuple[str, str], float]:
    """Give the level for each station and time."""
    levels = {}
    for row in rows:
        name, moment, height = station(row["station"]), time(row["time"]), level(row["level"])
        if name and moment and height is not None:
            levels[name, moment] = height
    return levels


def main() -> None:
    """Clean the file and say what was done."""
    rows = read(Path("data.csv"))
    levels = clean(rows)
    with Path("clean_dataset.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("station", "time", "level_m"))
        writer.writerows((*key, f"{height:.2f}") for key, height in sorted(levels.items()))
    sys.stdout.write(f"{len(rows)} rows read, {len(levels)} kept\n")


if __name__ == "__main__":
    main()
