"""Work done ahead by threads, handed over in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any


def default_workers() -> int:
    """Processors this process may use, at most 8: decoding gains little beyond that."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(8, len(usable(0)) if usable else os.cpu_count() or 1)


def in_order(
    function: Callable[[Any], Any], items: Iterable[Any], *, workers: int
) -> Iterator[Any]:
    """`function(item)` for every item, computed by `workers` threads, yielded in order.

    At most `workers + 2` results wait at a time. Closing the generator early drops what has not
    begun, waits for what has, and leaves no thread behind. An exception in `function` is raised
    here, at its place in the order.
    """
    todo = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="wellposed-data")
    try:
        waiting: deque[Future[Any]] = deque(
            pool.submit(function, item) for item in islice(todo, workers + 2)
        )
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(todo, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
