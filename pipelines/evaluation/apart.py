"""Parts of an evaluation that have nothing to do with each other: side by side, a process for each, where processors are all there is."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from pipelines.evaluation.rows import Row

Part = Callable[[], list[Row]]
"""Can be pickled."""


def side_by_side(parts: Sequence[Part], device: str, workers: int | None = None) -> Iterator[list[Row]]:
    """The rows of every part, in their order; all begin at once as far as there are cores, which they share evenly.

    On a GPU one part follows the other: they would only take its memory from each other.

    Args:
        workers: processes; as many as there are cores when None.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(len(parts), workers or cores)
    if device != "cpu" or workers < 2:
        yield from (part() for part in parts)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_use_cores, initargs=(max(1, cores // workers),)) as pool:
        try:
            pending = [pool.submit(part) for part in parts]
            yield from (one.result() for one in pending)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _use_cores(count: int) -> None:
    import torch

    torch.set_num_threads(count)
