"""How much memory an optimizer's state takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def memory(optimizer: Optimizer) -> int:
    """Bytes of the tensors that the optimizer keeps between steps; shared storage counts once.

    The weights and their gradients are not counted, nor is anything that is rebuilt at each step.
    SGD with momentum keeps one copy of the weights, AdamW two.
    """
    storages = {}
    for tensor in _tensors(optimizer.state):
        storage = tensor.untyped_storage()
        storages[tensor.device, storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors within nested mappings and sequences; keys are not looked at."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)
