"""Freed memory, kept for the next step."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_MIB = 2**20


@contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """Let glibc keep what is freed inside the block, and hand it back to the system after it.

    A step of training frees all it has allocated. By default glibc hands much of that back to the
    system at once, only to ask for it again in the next step, and each page is then cleared anew:
    15 to 30 % of the time of small convolutional networks. At most 1 GiB is kept. Where the C
    library is not glibc, or its malloc was tuned by the environment, nothing happens. Afterwards
    the thresholds are those that glibc itself takes once a program has freed a large block.
    """
    tuned = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    libc = ctypes.CDLL(None) if sys.platform == "linux" and not tuned else None
    mallopt: Callable[[int, int], Any] | None = getattr(libc, "mallopt", None)
    malloc_trim: Callable[[int], Any] | None = getattr(libc, "malloc_trim", None)
    if mallopt is None or malloc_trim is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, 32 * _MIB)  # the largest that glibc takes
    mallopt(_TRIM_THRESHOLD, 1024 * _MIB)
    mallopt(_TOP_PAD, 64 * _MIB)
    try:
        yield
    finally:
        mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        mallopt(_TOP_PAD, 0)
        malloc_trim(0)
