"""Outdated flows to their present form, every other byte left as it is (kestra.md §1)."""

from tidewaiter.daemon.migrate.migration import Migrated, Note, migrate

__all__ = ["Migrated", "Note", "migrate"]
