"""Where a run computes: device, threads, determinism."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from wellposed.errors import ArgumentError
from wellposed.train._allocator import keeping_freed_memory
from wellposed.train._plan import Plan


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first of cuda, mps, cpu that is there.

    Raises:
        ArgumentError: If this machine, or this build of torch, does not have it.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, is_there in there.items() if is_there)
    if not there[name]:
        raise ArgumentError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees none on this "
            "machine; try device='auto' or 'cpu'"
        )
    return torch.device(name)


@contextmanager
def settings(plan: Plan, device: torch.device) -> Iterator[None]:
    """The plan's threads and determinism inside the block, the caller's after it.

    On the CPU, freed memory is kept for the next step meanwhile.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    if plan.deterministic:
        if device.type == "cuda":  # without it cuBLAS refuses; it must be set before cuBLAS starts
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        kernels = _same_kernels() if plan.deterministic else nullcontext()
        with kernels, keeping_freed_memory() if device.type == "cpu" else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def _same_kernels() -> AbstractContextManager[None]:
    """The caller's cuDNN, but choosing its kernels without a race between them."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=False,
        benchmark_limit=cudnn.benchmark_limit,
        deterministic=True,
        allow_tf32=cudnn.allow_tf32,
    )
