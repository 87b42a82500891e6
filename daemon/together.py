"""Several things of one execution at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tidewaiter.tasks.context import Result

STOPPED = frozenset({"FAILED", "CANCELLED"})
"""Results after which nothing new is begun."""

_RANK = ("FAILED", "CANCELLED", "WARNING")


@dataclass(frozen=True, slots=True)
class Work:
    """One of several things, with what it is called; *begun* before an interruption, it is no new one."""

    name: str
    do: Callable[[], Awaitable[Result]]
    begun: bool = False


def combined(results: Iterable[tuple[str, Result]]) -> Result:
    """Give one result for several, each with what it is called: the worst state, with the first reason for it."""
    found = [(name, result) for name, result in results if result.state in _RANK]
    if not found:
        return Result()
    name, worst = min(found, key=lambda item: _RANK.index(item[1].state))
    reason = worst.error or worst.state.lower()
    return Result(worst.state, error=f"{name}: {reason}")


async def together(works: Sequence[Work], limit: int) -> Result:
    """
    Do all *works*, at most *limit* at once (0: all). After one has failed nothing new is begun; what runs is seen to
    its end. An error, other than a failed result, ends them all.
    """
    results: dict[int, Result] = {}
    waiting = iter(enumerate(works))
    stopped = asyncio.Event()
    count = min(limit, len(works)) if limit else len(works)
    workers = [asyncio.ensure_future(_worker(waiting, results, stopped)) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return combined((works[index].name, results[index]) for index in sorted(results))


async def _worker(waiting: Iterator[tuple[int, Work]], results: dict[int, Result], stopped: asyncio.Event) -> None:
    for index, work in waiting:
        if stopped.is_set() and not work.begun:
            continue
        results[index] = await work.do()
        if results[index].state in STOPPED:
            stopped.set()
