"""The reference of flows, made from the specs: every type, every property, every rule of lint."""

from tidewaiter.daemon.reference.pages import MADE, pages

__all__ = ["MADE", "pages"]
