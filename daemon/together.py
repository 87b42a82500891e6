"""Several things of one execution at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from tidewaiter.tasks.context import Result

Work = Callable[[], Awaitable[Result]]

STOPPED = frozenset({"FAILED", "CANCELLED"})
"""Results after which nothing new is begun."""

_RANK = ("FAILED", "CANCELLED", "WARNING")


def combined(results: Iterable[tuple[str, Result]]) -> Result:
    """Give one result for several, each with what it is called: the worst state, with the first reason for it."""
    found = [(name, result) for name, result in results if result.state in _RANK]
    if not found:
        return Result()
    name, worst = min(found, key=lambda item: _RANK.index(item[1].state))
    reason = worst.error or worst.state.lower()
    return Result(worst.state, error=f"{name}: {reason}")


async def together(works: Sequence[tuple[str, Work]], limit: int) -> Result:
    """
    Do all *works*, each with what it is called, at most *limit* at once (0: all). After one has failed nothing new is
    begun; what runs is seen to its end. An error, other than a failed result, ends them all.
    """
    results: dict[int, tuple[str, Result]] = {}
    waiting = iter(enumerate(works))
    count = min(limit, len(works)) if limit else len(works)
    workers = [asyncio.ensure_future(_worker(waiting, results)) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return combined(results[index] for index in sorted(results))


async def _worker(waiting: Iterator[tuple[int, tuple[str, Work]]], results: dict[int, tuple[str, Result]]) -> None:
    for index, (name, work) in waiting:
        if any(result.state in STOPPED for _, result in results.values()):
            return
        results[index] = (name, await work())
