"""Which weights are evaluated and kept: the last, their moving average, or the anchor."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wellposed.optim import Anchored, anchor_statistics

Kind = Literal["last", "anchor", "ema"]


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights and of batch norm's running statistics.

    After the first update it equals the model; then `decay` of it stays at each update. Take the
    average's `module` to evaluate; counters of batches are averaged with the rest, and mean
    nothing in it.
    """
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def kind_of(optimizer: Optimizer, average: AveragedModel | None) -> Kind:
    """Which weights are evaluated."""
    if average is not None:
        return "ema"
    return "anchor" if isinstance(optimizer, Anchored) else "last"


@contextmanager
def evaluated(
    model: nn.Module,
    optimizer: Optimizer,
    average: AveragedModel | None,
    batches: Iterable[tuple[Tensor, Tensor]],
) -> Iterator[nn.Module]:
    """The model to evaluate, inside the block; after it, training goes on bit by bit as without.

    Args:
        model: What is trained.
        optimizer: Of its weights; a relaxation is evaluated at its anchor, with batch norm's
            statistics estimated there.
        average: What `moving_average` returned, or None.
        batches: Training batches for these statistics; read only if there are any.
    """
    if average is not None:
        yield average.module
    elif isinstance(optimizer, Anchored):
        with optimizer.at_anchor(), anchor_statistics(model, batches):
            yield model
    else:
        yield model
