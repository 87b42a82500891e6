"""``tidewaiter schema``."""

import argparse
import json
from pathlib import Path

from tidewaiter.config.schema import json_schema
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.terminal import note, say_json
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.reference import MADE, pages


def run(options: argparse.Namespace) -> int:
    """Give the JSON Schema of flows or of the settings, or write the reference."""
    if options.reference is not None:
        _write_reference(options.reference)
        return 0
    model, title = (Settings, "Tidewaiter settings") if options.settings else (AnyFlow, "Tidewaiter flow")
    schema = json_schema(model, title)
    if options.output is None:
        say_json(schema)
    else:
        options.output.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        note(f"wrote {options.output}")
    return 0


def _write_reference(folder: Path) -> None:
    """Write every page into *folder*, and remove those made before that there are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for page in folder.glob("*.md"):
        if page.name not in made and page.read_text(encoding="utf-8").startswith(MADE):
            page.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    note(f"wrote {len(made)} pages into {folder}")
