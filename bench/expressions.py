"""How long the expressions of one flow take to render."""

import time
from typing import Any

from bench.figure import Figure
from bench.stage import Stage
from tidewaiter.config.expression import Expressions, Scope

_ROUNDS = 200
_SOURCES = (
    "{{ trigger.objects | jq('.[].uri') | first }}",
    "{{ outputs.x.vars.y }}",
    "{{ now() | date('yyyy-MM-dd') }}",
    "{{ inputs.a ?? 'b' }}",
    "{{ trigger.objects[0].key | substringAfterLast('/') }}",
    "s3://{{ vars.bucket }}/{{ execution.startDate | date('yyyy/MM/dd') }}/{{ trigger.objects[0].key }}",
    "{{ secret('TOKEN') }}",
    "{% for object in trigger.objects %}{{ object.key }} {{ object.size }}\n{% endfor %}",
)
_OBJECTS = [
    {"key": f"in/{number}.csv", "uri": f"kestra:///{number}", "size": number, "bucket": "b", "etag": "abc"}
    for number in range(25)
]
_VARIABLES: dict[str, Any] = {
    "trigger": {"objects": _OBJECTS},
    "outputs": {"x": {"vars": {"y": 3}}},
    "inputs": {},
    "vars": {"bucket": "b"},
    "execution": {"startDate": "2024-01-02T03:04:05.123456Z"},
}


def measure(stage: Stage) -> list[Figure]:
    """Render what a flow on 25 objects typically has, in this process: once for the first time, then again."""
    stage.progress(f"expressions, {_ROUNDS} times")
    expressions = Expressions()
    first = _milliseconds(expressions)
    again = tuple(_milliseconds(expressions) for _ in range(_ROUNDS))
    return [
        Figure("expressions of a flow, first time", "ms", (first,)),
        Figure("expressions of a flow", "ms", again, budget=1.0),
    ]


def _milliseconds(expressions: Expressions) -> float:
    scope = Scope(_VARIABLES, {"secret": lambda _name: "s"})
    started = time.perf_counter()
    for source in _SOURCES:
        expressions.render(source, scope)
    return (time.perf_counter() - started) * 1000
