"""What `tidewaiter lint` looks for in flows (kestra.md §2)."""

from tidewaiter.daemon.lint.finding import SEVERITIES, Finding, Rule, Severity
from tidewaiter.daemon.lint.linter import RULES, lint

__all__ = ["RULES", "SEVERITIES", "Finding", "Rule", "Severity", "lint"]
