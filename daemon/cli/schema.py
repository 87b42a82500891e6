"""``tidewaiter schema``."""

import argparse

from tidewaiter.config.settings import Settings
from tidewaiter.daemon.cli.terminal import say_json
from tidewaiter.daemon.flows import AnyFlow


def run(options: argparse.Namespace) -> int:
    """Print the JSON Schema of flows or of the settings."""
    model = Settings if options.settings else AnyFlow
    schema = model.model_json_schema(by_alias=True)
    say_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    return 0
