"""Threads that compute: who waits is told, of a fault too; slow work is spread, quick work is
not.
"""

import asyncio
import threading
import time

import pytest

from deployments.targets.serve.pool import Pool


def test_who_waits_is_told() -> None:
    async def ask() -> list[object]:
        pool = Pool(2)
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
        pool = Pool(threads)
        await asyncio.gather(*(pool.run(work) for _ in range(24)))

    asyncio.run(ask())
    assert peak == most


def test_slow_work_is_told_when_it_is_done_not_when_all_is() -> None:
    async def ask() -> list[float]:
        pool, began_s = Pool(1), time.monotonic()
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
        pool = Pool(1)
        slow = pool.run(lambda: time.sleep(0.05))
        dropped = pool.run(lambda: 1)
        dropped.cancel()
        await slow
        return await pool.run(lambda: 2)

    assert asyncio.run(ask()) == 2


def test_a_pool_outlives_a_loop() -> None:
    pool = Pool(1)

    async def leave() -> None:
        pool.run(lambda: time.sleep(0.05))

    asyncio.run(leave())
    time.sleep(0.1)

    async def ask() -> int:
        return await pool.run(lambda: 3)

    assert asyncio.run(ask()) == 3
