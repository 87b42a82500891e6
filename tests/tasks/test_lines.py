"""Work on big files, step by step."""

import asyncio
import threading

import pytest

from tidewaiter.tasks.lines import in_steps, lines, reversed_lines


async def test_the_result_of_all_steps():
    """The steps are taken one after another, and the last one's result is given."""
    taken = []

    def work():
        for number in range(3):
            taken.append(number)
            yield
        return "done"

    assert (await in_steps(work()), taken) == ("done", [0, 1, 2])


async def test_a_failing_step():
    """An error in a step is raised as it is."""

    def work():
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await in_steps(work())


async def test_interruption():
    """Cancelled work ends at the step it is in, and is closed before that is told."""
    begun, go_on, closed = threading.Event(), threading.Event(), []

    def work():
        try:
            while True:
                begun.set()
                go_on.wait(10)
                yield
        finally:
            closed.append(True)

    task = asyncio.ensure_future(in_steps(work()))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


@pytest.mark.parametrize("content", ["", "\n", "a", "a\n", "a\r\nb", "\n\n", "a\n\nb\n", "\r\n"])
def test_both_directions_agree(tmp_path, content):
    """Read from the end, a file has the same lines."""
    (tmp_path / "f").write_bytes(content.encode())

    assert list(reversed_lines(tmp_path / "f")) == list(lines(tmp_path / "f"))[::-1]
