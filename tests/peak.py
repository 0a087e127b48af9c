"""The memory that work takes."""

import gc
import tracemalloc


def measure_peak(work, enough=0, rounds=3):
    """The least of some rounds, in bytes, of which none follows once one was as low as enough.

    What the process's other threads hold meanwhile, such as Dask's and Prefect's, is counted, too,
    and once came to 15 MB.
    """
    peaks = []
    while len(peaks) < rounds and (not peaks or min(peaks) > enough):
        gc.collect()
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
