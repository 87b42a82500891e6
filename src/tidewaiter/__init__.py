"""Tidewaiter: every object that arrives in a bucket is taken into custody and processed by a flow, once."""

__version__ = "0.1.0"
