"""Processes that find each other, also after some of them were killed and started again."""

import os
import time
from datetime import timedelta
from uuid import uuid4

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from wellposed.errors import require

_PAUSE = 0.02  # seconds between looks


def meet(backend: str | None = None, *, timeout: float = 600.0) -> None:
    """Initialise the process group under torchrun, in such a way that restarts find each other.

    Like `torch.distributed.init_process_group(backend)`, but under a fresh name in the store each
    time. With `torchrun --max-restarts` all attempts share one store, and torch's own call finds
    there the addresses of processes that were killed: it then fails, or waits for ever.

    The first process writes a new name; each other process signs that name, by a number of its
    own, and goes on once the first has confirmed it. What earlier attempts have left is never
    confirmed. Without torchrun this is torch's own call.

    Args:
        backend: "gloo", "nccl", or None for what torch chooses.
        timeout: Seconds, above 0, to wait for the others, here and in collectives afterwards.

    Raises `ArgumentError` if the variables are missing by which torchrun tells a process its rank.
    """
    missing = [key for key in ("RANK", "WORLD_SIZE", "MASTER_ADDR") if key not in os.environ]
    require(
        not missing,
        f"meet() found no {', '.join(missing)} in the environment; start the program by "
        "torchrun --nproc-per-node=2 program.py",
    )
    wait = timedelta(seconds=timeout)
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True):
        dist.init_process_group(backend, timeout=wait)
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(  # type: ignore[attr-defined]
        address, port, size, is_master=False, timeout=wait
    )
    name = lead(store, size, timeout) if rank == 0 else follow(store, rank, timeout)
    fresh = PrefixStore(name, store)
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=size, timeout=wait)


def lead(store: Store, size: int, timeout: float = 600.0) -> str:
    """Choose a new name, and confirm it once all others have signed it."""
    name, deadline = uuid4().hex, time.monotonic() + timeout
    store.set("wellposed/name", name)
    signed = [f"wellposed/{name}/{rank}" for rank in range(1, size)]
    while signed and not store.check(signed):
        _pause(deadline, f"the other {size - 1}")
    store.set(f"wellposed/{name}", " ".join(store.get(key).decode() for key in signed))
    return name


def follow(store: Store, rank: int, timeout: float = 600.0) -> str:
    """The name that the first process has chosen and confirmed to this one."""
    signature, deadline, name = uuid4().hex, time.monotonic() + timeout, ""
    while True:
        if store.check(["wellposed/name"]):
            found = store.get("wellposed/name").decode()
            if found != name:
                name = found
                store.set(f"wellposed/{name}/{rank}", signature)
            confirmed = f"wellposed/{name}"
            if store.check([confirmed]) and signature in store.get(confirmed).decode().split():
                return name
        _pause(deadline, "the first")


def _pause(deadline: float, whom: str) -> None:
    """Wait a little.

    Raises:
        TimeoutError: If the deadline has passed.
    """
    if time.monotonic() > deadline:
        raise TimeoutError(f"{whom} of the processes did not come; look for their errors")
    time.sleep(_PAUSE)
