"""skorch's NeuralNetClassifier with its table per epoch, and training accuracy."""

from collections.abc import Callable
from typing import Any

import skorch
import torch
from skorch.callbacks import Callback, EpochScoring
from torch.utils.data import TensorDataset

from peers.task import Predict, Task

PACKAGES = ("skorch",)
NOTE = "table per epoch, loss and accuracy; no validation split"


class _Turn(Callback):
    def __init__(self, end_of_epoch: Callable[[], None]) -> None:
        self.end_of_epoch = end_of_epoch

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.end_of_epoch()


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    accuracy = EpochScoring(
        "accuracy", name="accuracy", lower_is_better=False, on_train=True, target_extractor=_numpy
    )
    net = skorch.NeuralNetClassifier(
        task.model(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__lr=task.lr,
        optimizer__momentum=task.momentum,
        optimizer__fused=True,
        classes=list(range(10)),
        max_epochs=epochs,
        batch_size=task.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        device="cpu",
        callbacks=[("accuracy", accuracy), ("turn", _Turn(end_of_epoch))],
    )
    net.fit(TensorDataset(*task.tensors()), y=None)
    return task.scores(net.module_)


def _numpy(y: Any) -> Any:
    return skorch.utils.to_numpy(y)
