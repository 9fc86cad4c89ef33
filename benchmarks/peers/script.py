"""The plain PyTorch script: a DataLoader, a loop, a tqdm bar, loss and accuracy."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from peers.task import Predict, Task

PACKAGES = ("torch", "tqdm")
NOTE = "tqdm; loss and accuracy with .item() each step"


def train(
    task: Task,
    epochs: int,
    end_of_epoch: Callable[[], None],
    *,
    batches: str = "loader",
    bf16: bool = False,
) -> Predict:
    layout = torch.channels_last if bf16 else torch.contiguous_format
    model = task.model().to(memory_format=layout)
    optimizer = task.optimizer(model)
    data: Iterable[tuple[Tensor, ...]] = task.loader() if batches == "loader" else _Sliced(task)
    forward = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()
    for epoch in range(epochs):
        total, correct = 0.0, 0
        for x, y in tqdm(data, desc=f"epoch {epoch}"):
            if bf16 and x.dim() == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            with forward:
                scores = model(x)
                loss = cross_entropy(scores, y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            correct += (scores.argmax(1) == y).sum().item()
        print(f"loss {total / len(data):.4f} accuracy {correct / len(task.targets):.4f}")
        end_of_epoch()
    return task.scores(model)


class _Sliced:
    """Shuffled batches, each indexed at once instead of example by example."""

    def __init__(self, task: Task) -> None:
        self._tensors = task.tensors()
        self._size = task.batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._tensors[1]) / self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, targets = self._tensors
        for rows in torch.randperm(len(targets)).split(self._size):
            yield inputs[rows], targets[rows]
