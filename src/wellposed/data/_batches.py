"""Batches whose content depends on (seed, epoch, position) and on nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from wellposed.data._augmentation import Augmentation
from wellposed.data._examples import Examples
from wellposed.data._prefetch import default_workers, in_order
from wellposed.data._seed import derived_seed
from wellposed.errors import require

Batch = tuple[Tensor, Tensor]


@final
@dataclass(frozen=True)
class Batches:
    """Batches of examples, in an order drawn afresh every epoch.

    The order is drawn from (seed, epoch) and the noise of augmentations from (seed, epoch,
    position), so an epoch can be entered anywhere and gives the same bits: no state of a random
    number generator needs to be saved.

    Examples in memory are converted to `dtype`, `memory_format` and `device` once, when the first
    batch is asked for; then a batch costs one gather. This keeps a second copy where a conversion
    changes anything. Other examples are read, converted and augmented ahead by threads, with the
    same values in the same order.

    Args:
        examples: What to cut.
        size: Examples per batch, at least 1.
        seed: Of order and augmentations.
        augment: Applied in this order to each whole batch.
        shuffle: Draw an order; otherwise keep the examples' own.
        device: Where batches are wanted.
        dtype: Of the inputs; float32 by default. Targets stay int64.
        memory_format: Of image batches, such as `torch.channels_last`; feature vectors have none.
        drop_last: Leave out a last batch that is not full.
        workers: Threads for examples that are not in memory; by default one per processor.
    """

    examples: Examples
    size: int
    _: KW_ONLY
    seed: int = 0
    augment: Sequence[Augmentation] = ()
    shuffle: bool = True
    device: str | torch.device = "cpu"
    dtype: torch.dtype | None = None
    memory_format: torch.memory_format | None = None
    drop_last: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        require(self.size >= 1, f"Batches needs a size of at least 1, got size={self.size}")
        full = self.size <= len(self.examples) or not self.drop_last
        require(full, f"no batch of {self.size} can be filled from {len(self.examples)} examples")
        floating = self.dtype is None or self.dtype.is_floating_point
        require(floating, f"inputs need a floating dtype, got dtype={self.dtype}")
        several = self.workers is None or self.workers >= 1
        require(several, f"Batches needs workers >= 1, got workers={self.workers}")

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(len(self.examples), self.size)
        return full + (rest > 0 and not self.drop_last)

    def __len__(self) -> int:
        return self.steps_per_epoch

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """The batches (inputs, targets) of one epoch, from position `start` on.

        Args:
            index: Which epoch, at least 0.
            start: Position of the first batch wanted, from 0 to `steps_per_epoch`.
        """
        require(index >= 0, f"epochs are counted from 0, got index={index}")
        steps = self.steps_per_epoch
        require(0 <= start <= steps, f"an epoch has {steps} batches, got start={start}")
        order = self._order(index)[start * self.size : min(steps * self.size, len(self.examples))]
        if self.examples.in_memory:
            return self._gathered(order, index, start)
        return self._streamed(order, index, start)

    def _order(self, index: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(len(self.examples))
        generator = torch.Generator().manual_seed(derived_seed(self.seed, index))
        return torch.randperm(len(self.examples), generator=generator)

    def _cut(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(self.size) if len(rows) else ()

    def _gathered(self, order: Tensor, index: int, start: int) -> Iterator[Batch]:
        rows, targets, like = self._resident
        order = order.to(rows.device)
        labels = self._cut(targets.index_select(0, order))
        for position, chosen in enumerate(self._cut(order)):
            inputs = rows.index_select(0, chosen).view(-1, *like)
            if self._last:
                inputs = inputs.permute(0, 3, 1, 2)
            if self.augment:
                inputs = self._augmented(inputs, index, start + position)
            yield inputs, labels[position]

    @cached_property
    def _last(self) -> bool:
        images = len(self.examples.shape) == 3
        return images and self.memory_format is torch.channels_last

    @cached_property
    def _resident(self) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Converted inputs as contiguous rows, targets, and the shape that a row stands for."""
        inputs = self.examples.inputs.to(self.device, self.dtype or torch.float32)
        if self._last:
            inputs = inputs.permute(0, 2, 3, 1)
        like = tuple(inputs.shape[1:])
        return inputs.flatten(1).contiguous(), self.examples.targets.to(self.device), like

    def _streamed(self, order: Tensor, index: int, start: int) -> Iterator[Batch]:
        def read(job: tuple[int, Tensor]) -> Batch:
            position, rows = job
            inputs, targets = self.examples.take(rows)
            inputs = inputs.to(self.device, self.dtype or torch.float32)
            if self._last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            if self.augment:
                inputs = self._augmented(inputs, index, start + position)
            return inputs, targets.to(self.device)

        jobs = enumerate(self._cut(order))
        yield from in_order(read, jobs, workers=self.workers or default_workers())

    def _augmented(self, inputs: Tensor, index: int, position: int) -> Tensor:
        seed = derived_seed(self.seed, index, position)
        generator = torch.Generator(inputs.device).manual_seed(seed)
        for augmentation in self.augment:
            inputs = augmentation(inputs, generator)
        if self._last:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs
