"""Threads that compute: who waits is told, of a fault too; slow work is spread, quick work is
not.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from deployments.targets.serve.pool import QUICK_S, TOGETHER_S, Pool

Calls = Sequence[Callable[[], Any]]


def call_each(calls: Calls) -> list[Any]:
    found: list[Any] = []
    for call in calls:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)
    return found


def test_who_waits_is_told() -> None:
    async def ask() -> list[object]:
        pool = Pool(call_each, 2)
        futures = [pool.run(lambda number=number: number / (number - 3)) for number in range(6)]
        return await asyncio.gather(*futures, return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[3], ZeroDivisionError)
    assert [value for value in found if isinstance(value, float)] == [0, -0.5, -2, 4, 2.5]


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (3, 3)])
def test_slow_work_is_spread_over_the_threads_and_no_more(threads: int, most: int) -> None:
    under_way, peak, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal under_way, peak
        with lock:
            under_way += 1
            peak = max(peak, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1

    async def ask() -> None:
        pool = Pool(call_each, threads)
        await asyncio.gather(*(pool.run(work) for _ in range(24)))

    asyncio.run(ask())
    assert peak == most


def test_slow_work_is_told_when_it_is_done_not_when_all_is() -> None:
    async def ask() -> list[float]:
        pool, began_s = Pool(call_each, 1), time.monotonic()
        told_s: list[float] = []
        futures = [pool.run(lambda: time.sleep(0.05)) for _ in range(4)]
        for future in futures:
            future.add_done_callback(lambda _: told_s.append(time.monotonic() - began_s))
        await asyncio.gather(*futures)
        return told_s

    told_s = asyncio.run(ask())
    assert told_s[0] + 0.1 <= told_s[-1]


def test_one_who_no_longer_waits_is_passed_over() -> None:
    async def ask() -> int:
        pool = Pool(call_each, 1)
        slow = pool.run(lambda: time.sleep(0.05))
        dropped = pool.run(lambda: 1)
        dropped.cancel()
        await slow
        return await pool.run(lambda: 2)

    assert asyncio.run(ask()) == 2


def test_a_pool_outlives_a_loop() -> None:
    pool = Pool(call_each, 1)

    async def leave() -> None:
        pool.run(lambda: time.sleep(0.05))

    asyncio.run(leave())
    time.sleep(0.1)

    async def ask() -> int:
        return await pool.run(lambda: 3)

    assert asyncio.run(ask()) == 3


def test_what_waits_is_taken_at_once_and_slow_work_is_not() -> None:
    taken: list[int] = []

    def compute(calls: Calls) -> list[Any]:
        taken.append(len(calls))
        return call_each(calls)

    async def ask(work: Callable[[], object], times: int) -> list[int]:
        taken.clear()
        pool: Pool[Any, Any] = Pool(compute, 1)
        await pool.run(work)  # From the first on it is known what one takes.
        await asyncio.gather(*(pool.run(work) for _ in range(times)))
        return taken[1:]

    quick = asyncio.run(ask(lambda: None, 200))
    assert max(quick) > 1
    assert sum(quick) == 200
    assert set(asyncio.run(ask(lambda: time.sleep(TOGETHER_S), 5))) == {1}


def test_small_quick_work_is_done_in_the_loop_s_turn_and_no_other() -> None:
    async def ask(pool: Pool[Any, Any], work: Callable[[], object], **options: bool) -> bool:
        loops = threading.get_ident()
        return bool(await pool.run(lambda: (work(), threading.get_ident())[1], **options) == loops)

    async def ask_all() -> list[bool]:
        pool: Pool[Any, Any] = Pool(call_each, 1)
        quick = [await ask(pool, lambda: None, small=True)]
        pool.cost_s = QUICK_S / 10  # On a loaded machine it may have taken longer.
        quick.append(await ask(pool, lambda: None, small=True))
        large = await ask(pool, lambda: None, small=False)
        await ask(pool, lambda: time.sleep(20 * QUICK_S))
        slow = await ask(pool, lambda: None, small=True)
        return [*quick, large, slow]

    assert asyncio.run(ask_all()) == [False, True, False, False]


def test_the_loop_gets_its_turn_while_small_work_waits() -> None:
    async def ask() -> int:
        pool: Pool[Any, Any] = Pool(call_each, 1)
        await pool.run(lambda: None)
        pool.cost_s = TOGETHER_S / 10
        futures = [pool.run(lambda: None, small=True) for _ in range(30)]
        turns = 0
        while not futures[-1].done():
            turns += 1
            pool.cost_s = TOGETHER_S / 10
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(ask()) >= 3
