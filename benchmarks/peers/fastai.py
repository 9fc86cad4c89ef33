"""fastai's Learner with its bar and metrics on the training batches.

Only `fastai.learner` is imported, which needs neither torchvision nor spacy; the package is
installed without its dependencies (see requirements-peers.txt).
"""

from collections.abc import Callable
from functools import partial

import torch
from fastai.callback import progress  # noqa: F401 - brings the progress bar, as fastai.basics does
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner, Recorder
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from torch.utils.data import TensorDataset

from peers.task import Predict, Task

PACKAGES = ("fastai",)
NOTE = "default bar, loss and accuracy; validation on one batch per epoch"


class _Turn(Callback):
    order = 100

    def __init__(self, end_of_epoch: Callable[[], None]) -> None:
        self._end_of_epoch = end_of_epoch

    def after_epoch(self) -> None:
        self._end_of_epoch()


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    set_seed(0)
    inputs, targets = task.tensors()
    size = task.batch_size
    batches = DataLoader(TensorDataset(inputs, targets), bs=size, shuffle=True, num_workers=0)
    one = DataLoader(TensorDataset(inputs[:size], targets[:size]), bs=size, num_workers=0)
    model = task.model()
    learner = Learner(
        DataLoaders(batches, one, device=torch.device("cpu")),
        model,
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD, momentum=task.momentum, fused=True),
        lr=task.lr,
        metrics=accuracy,
        cbs=[_Turn(end_of_epoch)],
    )
    learner.remove_cb(Recorder)
    learner.add_cb(Recorder(train_metrics=True))
    learner.fit(epochs)
    return task.scores(model)
