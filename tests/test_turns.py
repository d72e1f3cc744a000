"""Turns at the model: bounded, in order for each visitor, large inspections among themselves."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from starlette.requests import Request

from attn.ui.controls import Controls
from attn.ui.turns import PER_SESSION, RUNNING, Busy, Caller, Turns

Answer = TypeVar("Answer")
ONE = Caller("192.0.2.1", "one")
PROGRAM, VISITOR = Caller("192.0.2.9"), Caller("192.0.2.1", "a visitor's")


def run(visit: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """In a thread of its own: the browser tests keep an event loop running in pytest's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(visit())).result()


def test_only_so_many_run_at_once_and_only_so_many_wait() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()
    together = threading.Event()  # the first go on when as many as may run are here

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
            if len(running) == RUNNING:
                together.set()
        assert together.wait(60)
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
    async def visit() -> tuple[str, list[object]]:
        turns = Turns(waiting=40)
        block = threading.Event()
        large = [asyncio.create_task(turns.run(block.wait, large=True)) for _ in range(24)]
        await asyncio.sleep(0)
        mine = await asyncio.wait_for(turns.run(lambda: "answered"), 30)
        block.set()
        return mine, await asyncio.gather(*large, return_exceptions=True)

    mine, answers = run(visit)
    assert mine == "answered"
    assert sum(isinstance(answer, Busy) for answer in answers) == 24 - 11  # one runs, a quarter of 40 waits


def test_a_sessions_answers_come_in_the_order_of_its_questions() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.03 if number == 0 else 0)
        done.append(number)

    async def visit() -> None:
        turns = Turns(waiting=40)
        await asyncio.gather(*(turns.run(work, number, caller=ONE) for number in range(PER_SESSION)))
        with pytest.raises(Busy, match="yours are waiting"):
            await asyncio.gather(*(turns.run(work, 0, caller=ONE) for _ in range(PER_SESSION + 1)))

    run(visit)
    assert done[:PER_SESSION] == list(range(PER_SESSION))


def test_what_raises_gives_its_turn_back() -> None:
    def fail() -> None:
        raise KeyError("x")

    async def visit() -> None:
        turns = Turns(waiting=0)
        for _ in range(10):
            with pytest.raises(KeyError):
                await turns.run(fail, caller=ONE)

    run(visit)


def test_the_default_is_not_large_and_a_finer_grid_is() -> None:
    assert not Controls().large
    assert Controls(longest_side=336).large
    assert Controls(detail="finest").large
    assert not Controls(detail="coarse", longest_side=640).large


def order_of_answers(flood: list[Caller], light: Caller, *, large: bool = False, waiting: int) -> list[str]:
    """Who is answered after whom, where a program's requests came before a visitor's three."""
    order: list[str] = []

    async def visit() -> None:
        turns = Turns(waiting=waiting)
        block = threading.Event()
        first = [asyncio.create_task(turns.run(block.wait, caller=PROGRAM, large=large)) for _ in range(RUNNING)]
        await asyncio.sleep(0)
        asked = [turns.run(order.append, "program", caller=each, large=large) for each in flood]
        visits = [turns.run(order.append, "visitor", caller=light, large=large) for _ in range(3)]
        tasks = [asyncio.create_task(each) for each in (*asked, *visits)]
        await asyncio.sleep(0)
        block.set()
        await asyncio.gather(*first, *tasks)

    run(visit)
    return order


@pytest.mark.parametrize("light", [VISITOR, Caller(PROGRAM.address, "behind the same balancer")], ids=str)
@pytest.mark.parametrize("large", [False, True])
def test_a_program_that_asks_without_end_waits_for_itself(light: Caller, large: bool) -> None:
    order = order_of_answers([PROGRAM] * 15, light, large=large, waiting=80)
    # In turns with the program's, though fifteen of those came before.
    assert [place for place, who in enumerate(order) if who == "visitor"][-1] <= 7, order
    assert order.count("program") == 15


def test_sessions_that_a_program_makes_up_do_not_help_it() -> None:
    made_up = [Caller(PROGRAM.address, str(number)) for number in range(40)]
    order = order_of_answers(made_up, VISITOR, waiting=60)
    assert [place for place, who in enumerate(order) if who == "visitor"][-1] <= 7, order


@pytest.mark.parametrize("light", [VISITOR, Caller(PROGRAM.address, "behind the same balancer")], ids=str)
def test_where_all_places_are_taken_the_greedy_one_gives_way(light: Caller) -> None:
    async def visit() -> tuple[object, list[object]]:
        turns = Turns(waiting=10)
        block = threading.Event()
        flood = [asyncio.create_task(turns.run(block.wait, caller=PROGRAM)) for _ in range(30)]
        await asyncio.sleep(0)
        mine = asyncio.create_task(turns.run(lambda: "answered", caller=light))
        await asyncio.sleep(0)
        block.set()
        return await mine, await asyncio.gather(*flood, return_exceptions=True)

    mine, flood = run(visit)
    assert mine == "answered"
    assert [isinstance(each, Busy) for each in flood] == [False] * 11 + [True] * 19


def test_nobody_is_sent_away_for_one_who_has_as_much() -> None:
    async def visit() -> list[object]:
        turns = Turns(waiting=6)
        block = threading.Event()
        callers = [Caller(f"192.0.2.{number}", "a") for number in range(9)]
        tasks = [asyncio.create_task(turns.run(block.wait, caller=each)) for each in callers]
        await asyncio.sleep(0)
        block.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(each, Busy) for each in run(visit)] == [False] * 8 + [True]


def test_whoever_gives_up_leaves_no_trace() -> None:
    async def visit() -> Turns:
        turns = Turns(waiting=6)
        block = threading.Event()
        tasks = [asyncio.create_task(turns.run(block.wait, caller=ONE)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.sleep(0)
        block.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(turns.run(int, caller=ONE), 30)
        return turns

    turns = run(visit)
    assert (turns._inside, turns._last) == ([], {})


def test_an_address_is_the_connections_own_and_an_ipv6_one_its_network() -> None:
    def request(host: str, **headers: str) -> Request:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return Request({"type": "http", "client": (host, 1), "headers": pairs})

    assert Caller.of(request("192.0.2.7", **{"x-forwarded-for": "198.51.100.1"}), "s") == Caller("192.0.2.7", "s")
    assert Caller.of(request("2001:db8::1:2:3:4")) == Caller.of(request("2001:db8::9")) == Caller("2001:db8::/64")
    assert Caller.of(None) == Caller()
