"""Pebble's and Kestra's filters (kestra.md §1.12), each a function of its operand and its arguments."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tidewaiter.config.expression.filters import data, lists, numbers, text

__all__ = ["FILTERS"]

FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {**text.FILTERS, **lists.FILTERS, **numbers.FILTERS, **data.FILTERS}
)
"""The filters that need nothing but their operand and arguments, by the name they have in expressions."""
