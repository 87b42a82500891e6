"""All rules, and what they say of one flow file. Data in, findings out."""

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.lint import buckets, loading, outdated, programs, writing
from tidewaiter.daemon.lint.finding import Finding, Rule
from tidewaiter.daemon.lint.subject import Subject

RULES: tuple[Rule, ...] = (*loading.RULES, *outdated.RULES, *buckets.RULES, *programs.RULES, *writing.RULES)
"""Every rule there is."""


def lint(text: str, file: str, expressions: Expressions) -> list[Finding]:
    """Give what the rules say of the flow in *text*, in order of place. *file* is for the findings only."""
    subject = Subject.of(text, file, expressions)
    found = [
        Finding(file, *hit.position, rule.severity, rule.code, hit.message, hit.remedy)
        for rule in RULES
        for hit in rule.find(subject)
    ]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.line, finding.column, finding.code))
