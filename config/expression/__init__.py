"""Kestra's expression language: Pebble's grammar with Kestra's filters and functions (kestra.md §1.12)."""

from tidewaiter.config.expression.budget import Limits
from tidewaiter.config.expression.engine import HOST_FUNCTIONS, Expressions
from tidewaiter.config.expression.runtime import Scope
from tidewaiter.config.expression.truth import truthy

__all__ = ["HOST_FUNCTIONS", "Expressions", "Limits", "Scope", "truthy"]
