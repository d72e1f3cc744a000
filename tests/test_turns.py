"""Turns at the model: bounded, in order for each visitor, large inspections among themselves."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from attn.ui.controls import Controls
from attn.ui.turns import PER_SESSION, RUNNING, Busy, Turns

Answer = TypeVar("Answer")


def run(visit: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """In a thread of its own: the browser tests keep an event loop running in pytest's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(visit())).result()


def test_only_so_many_run_at_once_and_only_so_many_wait() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.pop()

    async def visit() -> list[object]:
        turns = Turns(waiting=5)
        return await asyncio.gather(*(turns.run(work) for _ in range(20)), return_exceptions=True)

    answers = run(visit)
    assert max(most) == RUNNING
    assert sum(answer is None for answer in answers) == RUNNING + 5
    assert all(isinstance(answer, Busy) for answer in answers if answer is not None)


def test_a_light_visitor_does_not_wait_for_large_inspections() -> None:
    async def visit() -> tuple[float, list[object]]:
        turns = Turns(waiting=40)
        large = [asyncio.create_task(turns.run(time.sleep, 0.3, large=True)) for _ in range(24)]
        await asyncio.sleep(0.05)
        start = time.perf_counter()
        await turns.run(time.sleep, 0.01)
        took = time.perf_counter() - start
        for task in large[2:]:
            task.cancel()
        return took, await asyncio.gather(*large, return_exceptions=True)

    took, answers = run(visit)
    assert took < 0.2
    assert sum(isinstance(answer, Busy) for answer in answers) == 24 - 11  # one runs, a quarter of 40 waits


def test_a_sessions_answers_come_in_the_order_of_its_questions() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.03 if number == 0 else 0)
        done.append(number)

    async def visit() -> None:
        turns = Turns(waiting=40)
        await asyncio.gather(*(turns.run(work, number, session="one") for number in range(PER_SESSION)))
        with pytest.raises(Busy, match="yours are waiting"):
            await asyncio.gather(*(turns.run(work, 0, session="one") for _ in range(PER_SESSION + 1)))

    run(visit)
    assert done[:PER_SESSION] == list(range(PER_SESSION))


def test_what_raises_gives_its_turn_back() -> None:
    def fail() -> None:
        raise KeyError("x")

    async def visit() -> None:
        turns = Turns(waiting=0)
        for _ in range(10):
            with pytest.raises(KeyError):
                await turns.run(fail, session="one")

    run(visit)


def test_the_default_is_not_large_and_a_finer_grid_is() -> None:
    assert not Controls().large
    assert Controls(longest_side=336).large
    assert Controls(detail="finest").large
    assert not Controls(detail="coarse", longest_side=640).large
