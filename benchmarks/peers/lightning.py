"""Lightning's Trainer with its default bar; no logger and no checkpoints."""

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from peers.task import Predict, Task

PACKAGES = ("lightning",)
NOTE = "default bar, loss and accuracy by self.log; logger and checkpoints off"


class _Module(lightning.LightningModule):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.model = task.model()

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        scores = self.model(x)
        loss = cross_entropy(scores, y)
        accuracy = (scores.argmax(1) == y).float().mean()
        self.log("loss", loss, prog_bar=True)
        self.log("accuracy", accuracy, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.task.optimizer(self.model)


class _Turn(lightning.Callback):
    def __init__(self, end_of_epoch: Callable[[], None]) -> None:
        self._end_of_epoch = end_of_epoch

    def on_train_epoch_end(self, *_: Any) -> None:
        self._end_of_epoch()


def train(
    task: Task, epochs: int, end_of_epoch: Callable[[], None], *, precision: str = "32-true"
) -> Predict:
    module = _Module(task)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        callbacks=[_Turn(end_of_epoch)],
    )
    trainer.fit(module, task.loader())
    return task.scores(module.model)
