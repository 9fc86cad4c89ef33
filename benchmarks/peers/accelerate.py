"""Hugging Face Accelerate: the plain script with Accelerate's wrappers."""

from collections.abc import Callable

from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from peers.task import Predict, Task

PACKAGES = ("accelerate", "tqdm")
NOTE = "tqdm; loss and accuracy with .item() each step"


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    accelerator = Accelerator(cpu=True)
    net = task.model()
    model, optimizer, loader = accelerator.prepare(net, task.optimizer(net), task.loader())
    for epoch in range(epochs):
        total, correct = 0.0, 0
        for x, y in tqdm(loader, desc=f"epoch {epoch}"):
            optimizer.zero_grad()
            scores = model(x)
            loss = cross_entropy(scores, y)
            accelerator.backward(loss)
            optimizer.step()
            total += loss.item()
            correct += (scores.argmax(1) == y).sum().item()
        print(f"loss {total / len(loader):.4f} accuracy {correct / len(task.targets):.4f}")
        end_of_epoch()
    return task.scores(net)
