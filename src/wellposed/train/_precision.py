"""Number format and memory layout of the forward and backward pass."""

import copy
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.optim import SGD

from wellposed.problem import Problem
from wellposed.train._rng import rng_state, set_rng_state
from wellposed.train._small_layers import small_layers_in_float32
from wellposed.train._steps import steps

Dtype = Literal["float32", "bf16"]
Layout = Literal["contiguous", "channels_last"]

_DTYPES: tuple[Dtype, ...] = ("float32", "bf16")
_ROUNDS = 5
_SECONDS = 3.0


@final
@dataclass(frozen=True, slots=True)
class Precision:
    """How numbers are stored and multiplied while training; the weights stay in float32.

    Args:
        dtype: "float32", or "bf16": products and convolutions in bfloat16 under autocast, and the
            images of a set in memory stored in bfloat16 once; on a processor, linear layers too
            small to gain from that stay in float32.
        memory_format: "contiguous" (NCHW), or "channels_last" (NHWC) for images.
    """

    dtype: Dtype = "float32"
    memory_format: Layout = "contiguous"

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context for each evaluation of the objective; it can be entered again and again."""
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def applied(
        self, model: nn.Module, batch_size: int, device: torch.device
    ) -> AbstractContextManager[None]:
        """The model as this precision wants it, while the block lasts."""
        if self.dtype == "bf16" and device.type == "cpu":
            return small_layers_in_float32(model, batch_size)
        return nullcontext()

    def inputs(self, shape: Sequence[int]) -> dict[str, Any]:
        """How `wellposed.data.Batches` shall store inputs of this shape.

        Other inputs than images stay in float32: they may be numbers of words, say, and autocast
        rounds what it multiplies by itself.
        """
        images, channels_last = len(shape) == 3, self.memory_format == "channels_last"
        return {
            "dtype": torch.bfloat16 if images and self.dtype == "bf16" else None,
            "memory_format": torch.channels_last if channels_last else None,
        }

    def place(self, model: nn.Module, device: torch.device) -> None:
        """Move the weights to the device, and filters into the memory layout, in place."""
        if self.memory_format == "channels_last":
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.to(device)


@torch.enable_grad()
def fastest_precision(
    problem: Problem,
    batch: tuple[Tensor, Tensor],
    device: torch.device,
    *,
    layouts: tuple[Layout, ...] = ("contiguous", "channels_last"),
) -> tuple[Precision, dict[str, float]]:
    """Time a few steps of each precision and layout on a copy of the model, and take the fastest.

    Each candidate takes steps of SGD on the same batch, in turn, at most five rounds or three
    seconds; the shortest step counts, since what disturbs a measurement only lengthens it. Model,
    optimizer and random numbers are afterwards what they were, bit by bit.

    Args:
        problem: Its model is copied.
        batch: Inputs (float32, contiguous) and targets of a typical batch.
        device: Where to compute.
        layouts: Which memory layouts to try; channels_last only where there are filters.

    Returns:
        The fastest, and the seconds per step of each, by name ("bf16, channels_last").
    """
    before = rng_state(device)
    candidates = [
        _Candidate(Precision(dtype, layout), problem, batch, device)
        for dtype, layout in product(
            _DTYPES, layouts if _has_filters(problem, batch) else layouts[:1]
        )
    ]
    stop = time.perf_counter() + _SECONDS
    for number in range(1 + _ROUNDS):
        for candidate in candidates:
            candidate.run()
        if number and time.perf_counter() > stop:
            break
    set_rng_state(before, device)
    seconds = {str(c): min(c.seconds[1:]) for c in candidates}
    return min(candidates, key=lambda c: seconds[str(c)]).precision, seconds


def _has_filters(problem: Problem, batch: tuple[Tensor, Tensor]) -> bool:
    """Whether the network has filters over images, for which alone the layout matters."""
    return batch[0].dim() == 4 and any(p.dim() == 4 for p in problem.model.parameters())


class _Candidate:
    """A copy of the model in one precision, and the seconds its steps took."""

    def __init__(
        self,
        precision: Precision,
        problem: Problem,
        batch: tuple[Tensor, Tensor],
        device: torch.device,
    ) -> None:
        model = copy.deepcopy(problem.model)
        precision.place(model, device)
        model.train()
        stored = precision.inputs(batch[0].shape[1:])
        how = {key: value for key, value in stored.items() if value is not None}
        inputs, targets = batch[0].to(device).to(**how), batch[1].to(device)
        self.precision = precision
        self.device = device
        self._applied = partial(precision.applied, model, len(targets), device)
        self.seconds: list[float] = []
        self._steps = steps(
            replace(problem, model=model),
            SGD(model.parameters(), lr=0.0, fused=True),
            iter(lambda: (inputs, targets), None),
            autocast=precision.autocast(device),
        )

    def __str__(self) -> str:
        return f"{self.precision.dtype}, {self.precision.memory_format}"

    def run(self) -> None:
        """Take one step, to its end on the device, and note its time."""
        with self._applied():
            start = time.perf_counter()
            step = next(self._steps)
            step.objective.item()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.seconds.append(time.perf_counter() - start)
