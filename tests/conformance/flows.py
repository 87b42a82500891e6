"""What becomes of the corpus' flows here: which load, which are refused, and how those that run end."""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from conformance.corpus import CORPUS, CorpusFlow, Expectation, expectations, flows, invalid, older_names
from conformance.outcome import Outcome
from conformance.runs import Ending, Trial, run

from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.flows import parse_flow

DIFFERENCES: Mapping[str, Mapping[str, list[str]]] = json.loads(
    Path(__file__).with_name("flow_differences.json").read_text()
)
_SECONDS = 25.0
_AT_ONCE = 4
_FITTING = ("SUCCESS", "WARNING")
_UNSUITABLE = "the sample data do not suit it"
_SAMPLES: Sequence[tuple[str, str]] = (
    (r"exit code 127|rustup|compilation terminated", "a program is not installed"),
    (r"ModuleNotFoundError|No module named", "a Python module is not installed"),
    (r"[Cc]annot connect|Name or service not known|Connect call failed", "needs a server outside"),
    (r"no namespace file|No such file", "needs files that are not in the corpus"),
    (r"there is no flow", "needs a flow that is not in the corpus"),
    (r"input '.*' must|there is no case|exit code|not JSON|is not an internal-storage URI", _UNSUITABLE),
    (r"undefined variable '(trigger|inputs|envs|globals|namespace|kv)|there is no key", _UNSUITABLE),
)  # fmt: skip


def listed(kind: str) -> dict[str, str]:
    """Case to reason, of those that are known to be of that kind."""
    return {case: reason for reason, cases in DIFFERENCES[kind].items() for case in cases}


def loading() -> list[Outcome]:
    """Load every flow: those in the family must be accepted, others refused by the name of what is outside."""
    expressions, known, outside = Expressions(), listed("load"), listed("load_outside")
    refused = listed("load_refused_upstream")
    found = []
    for flow in flows():
        problem = _load(flow, expressions)
        if flow.path in outside:
            found.append(Outcome(flow.path, "outside", outside[flow.path]))
        elif flow.path in refused:
            found.append(_judged(flow.path, None if problem else "is accepted, and refused upstream", known))
        else:
            found.append(_judged(flow.path, problem, known))
    return found


def refusing() -> list[Outcome]:
    """Load what upstream rejects."""
    expressions, outside = Expressions(), listed("refuse_outside")
    found = []
    for path, _ in invalid():
        try:
            parse_flow((CORPUS / path).read_text(encoding="utf-8"), path, expressions)
            verdict = (
                Outcome(path, "outside", outside[path]) if path in outside else Outcome(path, "failed", "is accepted")
            )
        except ConfigError:
            verdict = Outcome(path, "passed")
        found.append(verdict)
    return found


def _load(flow: CorpusFlow, expressions: Expressions) -> str | None:
    try:
        parse_flow(flow.text, flow.path, expressions)
    except ConfigError as error:
        if flow.in_family:
            return str(error.problems[0].message)
        outside = [name for name in flow.outside.split(",") if name]
        written = [old for old, present in older_names() if present in outside]
        named = any(name in problem.message for problem in error.problems for name in (*outside, *written))
        return None if named or not outside else f"is refused, but not for {outside[0]}"
    return None


def _judged(case: str, problem: str | None, known: Mapping[str, str]) -> Outcome:
    if case in known:
        verdict = "differs" if problem else "failed"
        return Outcome(case, verdict, known[case] if problem else f"agrees now, take it off the list: {known[case]}")
    return Outcome(case, "failed" if problem else "passed", problem or "")


async def running(only: str | None = None) -> tuple[list[Outcome], list[Outcome]]:
    """Run what can be run without a network; gives what came of the flows, and of upstream's expectations."""
    every = flows()
    expected = expectations()
    wanted = [flow for flow in every if flow.runnable and (only is None or only in flow.path)]
    others = [
        flow for flow in every if flow.path in expected and not flow.runnable and (only is None or only in flow.path)
    ]
    limit = asyncio.Semaphore(_AT_ONCE)
    ran, checked = await asyncio.gather(
        asyncio.gather(*(_run(flow, every, limit) for flow in wanted)),
        asyncio.gather(
            *(_check(flow, test, every, limit) for flow in (*wanted, *others) for test in expected.get(flow.path, ()))
        ),
    )
    return list(ran), list(checked)


async def _ended(
    flow: CorpusFlow, every: Iterable[CorpusFlow], inputs: Mapping[str, object], limit: asyncio.Semaphore
) -> Ending:
    folder = Path(flow.path).parent
    siblings = {
        other.name: other.text
        for other in every
        if Path(other.path).parent == folder and other.path != flow.path and other.name.rpartition(".")[2] in flow.text
    }
    async with limit:
        with tempfile.TemporaryDirectory(prefix="conformance-") as place:
            return await run(Trial(flow.text, siblings, inputs, _SECONDS), Path(place))


async def _run(flow: CorpusFlow, every: Sequence[CorpusFlow], limit: asyncio.Semaphore) -> Outcome:
    known = listed("run")
    try:
        ending = await _ended(flow, every, {}, limit)
    except ConfigError:
        return Outcome(flow.path, "outside", "does not load")
    execution = ending.execution
    if execution.state in _FITTING or (execution.state == "PAUSED" and "Pause" in flow.text):
        return _judged(flow.path, None, known)
    if not execution.state.ended:
        return Outcome(flow.path, "outside", f"takes longer than {_SECONDS:g} s")
    if flow.path in listed("run_fails_as_written"):
        return _judged(flow.path, None if execution.state == "FAILED" else f"{execution.state}", known)
    reason = next((words for pattern, words in _SAMPLES if re.search(pattern, execution.error or "")), None)
    if reason is not None and flow.path not in known:
        return Outcome(flow.path, "outside", reason)
    if re.search(r"execution[s]?\.(Fail|Assert)|behavior: FAIL", flow.text):
        return _judged(flow.path, None, known)
    return _judged(flow.path, f"{execution.state}: {execution.error}", known)


async def _check(flow: CorpusFlow, test: Expectation, every: Sequence[CorpusFlow], limit: asyncio.Semaphore) -> Outcome:
    case = f"{flow.path} {test.test}"
    outside = listed("expect_outside")
    if case in outside:
        return Outcome(case, "outside", outside[case])
    try:
        ending = await _ended(flow, every, test.inputs, limit)
    except ConfigError:
        return _judged(case, "does not load", listed("expect"))
    state, count = ending.execution.state.value, len({run.task_path for run in ending.runs})
    if test.states and state not in test.states:
        return _judged(case, f"ends in {state}: {ending.execution.error}", listed("expect"))
    if test.counts and count not in test.counts:
        return _judged(case, f"has {count} task runs, not {sorted(test.counts)}", listed("expect"))
    return _judged(case, None, listed("expect"))
