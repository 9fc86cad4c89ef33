"""The limit: forward, backward and fused SGD on batches that lie ready in memory, and no more.

No shuffling, no metrics, no progress bar; the batches have the precision and memory layout of the
computation already. A training loop can come close to this, and no loop that does the same
arithmetic in the same order of operations can beat it by much.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.nn.functional import cross_entropy

from peers.task import Predict, Task

PACKAGES = ("torch",)
NOTE = "no shuffling, no metrics, no bar"


def train(
    task: Task,
    epochs: int,
    end_of_epoch: Callable[[], None],
    *,
    dtype: str = "float32",
    layout: str = "contiguous",
    keep_memory: bool = False,
) -> Predict:
    if keep_memory:
        _keep_memory()
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    inputs, targets = task.tensors()
    if dtype == "bf16":
        inputs = inputs.bfloat16()
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=memory_format)
    batches = list(zip(inputs.split(task.batch_size), targets.split(task.batch_size), strict=True))
    model = task.model().to(memory_format=memory_format)
    optimizer = task.optimizer(model)
    forward = torch.autocast("cpu", torch.bfloat16) if dtype == "bf16" else nullcontext()
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            with forward:
                loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        end_of_epoch()
    return task.scores(model)


def _keep_memory() -> None:
    """Tell glibc not to hand freed memory back: every page fault costs microseconds."""
    import ctypes

    libc = ctypes.CDLL(None)
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    libc.mallopt(trim_threshold, 2**30)
    libc.mallopt(mmap_threshold, 2**30)
    libc.mallopt(top_pad, 2**26)
