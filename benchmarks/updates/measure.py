"""CPU seconds of many candidates, taken in turn, and memory as torch's allocator sees it."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch.profiler import ProfilerActivity, profile

CALLS = 20  # of a repeat; a multiple of every cycle


@dataclass
class Timing:
    """What was measured of one candidate, per gradient.

    Args:
        seconds: Median over the repeats.
        ratio: Median of the ratio to the baseline in the same repeat.
        quartiles: Of that ratio.
        all: Seconds in each repeat.
    """

    seconds: float
    ratio: float
    quartiles: tuple[float, float]
    all: list[float] = field(repr=False)


def timed(
    candidates: Mapping[str, tuple[Callable[[], Any], int]],
    baseline: str,
    repeats: int,
    calls: int = CALLS,
    patience: float = 3.0,
) -> dict[str, Timing]:
    """Each candidate in turn in each repeat.

    Args:
        candidates: A function, and by how many gradients to divide.
        baseline: The name of the one that all are compared with.
        repeats: How often.
        calls: Of the function, in a row.
        patience: Seconds; a candidate whose calls take longer is called twice in a row.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    counts = {}
    for name, (call, _) in candidates.items():  # warm caches and clocks
        call()
        start = time.process_time()
        call()
        call()
        slow = (time.process_time() - start) / 2 * calls > patience
        counts[name] = 2 if slow else calls
        for _ in range(counts[name] - 3):
            call()
    for _ in range(repeats):
        for name, (call, gradients) in candidates.items():
            start = time.process_time()
            for _ in range(counts[name]):
                call()
            times[name].append((time.process_time() - start) / counts[name] / gradients)
    found = {}
    for name in candidates:
        ratios = sorted(t / b for t, b in zip(times[name], times[baseline], strict=True))
        low, median, high = statistics.quantiles(ratios, n=4)
        found[name] = Timing(statistics.median(times[name]), median, (low, high), times[name])
    return found


def peak(call: Callable[[], Any]) -> int:
    """Bytes that a call allocates beyond what was there before, at most at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    results: Any = profiled.profiler.kineto_results  # type: ignore[union-attr]
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    level = highest = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        level += change
        highest = max(highest, level)
    return highest


def peak_of_cycle(step: Callable[[], Any], calls: int = CALLS) -> int:
    """The largest of the peaks of the steps of a cycle, the first cycle being over."""
    for _ in range(calls):
        step()
    return max(peak(step) for _ in range(calls))
