"""Lightning Fabric: the plain script with Fabric's wrappers."""

from collections.abc import Callable

from lightning.fabric import Fabric
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from peers.task import Predict, Task

PACKAGES = ("lightning", "tqdm")
NOTE = "tqdm; loss and accuracy with .item() each step"


def train(task: Task, epochs: int, end_of_epoch: Callable[[], None]) -> Predict:
    fabric = Fabric(accelerator="cpu", devices=1)
    net = task.model()
    model, optimizer = fabric.setup(net, task.optimizer(net))
    loader = fabric.setup_dataloaders(task.loader())
    for epoch in range(epochs):
        total, correct = 0.0, 0
        for x, y in tqdm(loader, desc=f"epoch {epoch}"):
            optimizer.zero_grad()
            scores = model(x)
            loss = cross_entropy(scores, y)
            fabric.backward(loss)
            optimizer.step()
            total += loss.item()
            correct += (scores.argmax(1) == y).sum().item()
        print(f"loss {total / len(loader):.4f} accuracy {correct / len(task.targets):.4f}")
        end_of_epoch()
    return task.scores(net)
