"""``tidewaiter schema``."""

import argparse
import json

from tidewaiter.config.schema import json_schema
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.terminal import note, say_json
from tidewaiter.daemon.flows import AnyFlow


def run(options: argparse.Namespace) -> int:
    """Give the JSON Schema of flows or of the settings."""
    model, title = (Settings, "Tidewaiter settings") if options.settings else (AnyFlow, "Tidewaiter flow")
    schema = json_schema(model, title)
    if options.output is None:
        say_json(schema)
    else:
        options.output.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        note(f"wrote {options.output}")
    return 0
