"""Hugging Face Trainer, with a dataset of dictionaries and its default collation."""

from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from peers.task import Predict, Task

PACKAGES = ("transformers", "accelerate")
NOTE = "default bar and loss; one dictionary per example; clipping, saving, reporting off"


class _Examples(Dataset[dict[str, Tensor]]):
    def __init__(self, task: Task) -> None:
        self._inputs, self._targets = task.tensors()

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": self._inputs[index], "labels": self._targets[index]}


class _WithLoss(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        scores = self.model(inputs)
        return {"loss": cross_entropy(scores, labels), "logits": scores}


class _Turn(transformers.TrainerCallback):
    def __init__(self, end_of_epoch: Callable[[], None]) -> None:
        self._end_of_epoch = end_of_epoch

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self._end_of_epoch()


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    model = task.model()
    optimizer = task.optimizer(model)
    arguments = transformers.TrainingArguments(
        output_dir=str(Path(gettempdir()) / "epoch-benchmark-transformers"),
        num_train_epochs=epochs,
        per_device_train_batch_size=task.batch_size,
        use_cpu=True,
        max_grad_norm=0.0,
        save_strategy="no",
        report_to="none",
    )
    trainer = transformers.Trainer(
        model=_WithLoss(model),
        args=arguments,
        train_dataset=_Examples(task),
        optimizers=(optimizer, LambdaLR(optimizer, lambda _: 1.0)),
        callbacks=[_Turn(end_of_epoch)],
    )
    trainer.train()
    return task.scores(model)
