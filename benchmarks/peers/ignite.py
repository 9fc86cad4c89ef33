"""PyTorch-Ignite's supervised trainer with its bar, running loss and accuracy."""

from collections.abc import Callable

from ignite.engine import Events, create_supervised_trainer
from ignite.handlers import ProgressBar
from ignite.metrics import Accuracy, RunningAverage
from torch.nn import CrossEntropyLoss

from peers.task import Predict, Task

PACKAGES = ("pytorch-ignite",)
NOTE = "its ProgressBar, running loss, Accuracy"


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    model = task.model()
    trainer = create_supervised_trainer(
        model,
        task.optimizer(model),
        CrossEntropyLoss(),
        device="cpu",
        output_transform=lambda _, y, scores, loss: (scores, y, loss.item()),
    )
    RunningAverage(output_transform=lambda out: out[2]).attach(trainer, "loss")
    Accuracy(output_transform=lambda out: out[:2]).attach(trainer, "accuracy")
    ProgressBar().attach(trainer, ["loss"])
    trainer.add_event_handler(Events.EPOCH_COMPLETED, end_of_epoch)
    trainer.run(task.loader(), max_epochs=epochs)
    return task.scores(model)
