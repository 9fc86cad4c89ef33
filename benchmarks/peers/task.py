"""What every entrant trains: network, data, optimizer and batch size are the same for all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from wellposed.models import MLP, LeNet, SmallCNN

Array = NDArray[Any]
Predict = Callable[[Array], Array]  # inputs -> scores

_NETS = {"mlp": MLP, "lenet": LeNet, "smallcnn": SmallCNN}


@dataclass(frozen=True)
class Task:
    """A network, and Fashion-MNIST in memory: float32, standardized, targets as int64.

    Args:
        net: "mlp" (inputs of shape (784,)), "lenet" or "smallcnn" (inputs of shape (1, 28, 28)).
        inputs: Training inputs, shape (n, *shape).
        targets: Class numbers, shape (n,).
        test_inputs: Shape (10000, *shape).
        test_targets: Shape (10000,).
    """

    net: str
    inputs: Array
    targets: Array
    test_inputs: Array
    test_targets: Array
    batch_size: int = 128
    lr: float = 0.05
    momentum: float = 0.9

    @classmethod
    def read(cls, net: str, folder: Path) -> "Task":
        """From the four .npy files that the driver wrote."""
        parts = {p.stem: np.load(p) for p in folder.glob("*.npy")}
        shape = (-1, 784) if net == "mlp" else (-1, 1, 28, 28)
        for name in ("inputs", "test_inputs"):
            parts[name] = parts[name].reshape(shape)
        return cls(net, **parts)

    def model(self) -> nn.Module:
        """The network with torch's default initialization, the same weights for all."""
        torch.manual_seed(0)
        return _NETS[self.net](shape=self.inputs.shape[1:], classes=10)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Fused SGD with momentum: torch's fastest on the CPU, for every peer on torch."""
        return torch.optim.SGD(model.parameters(), self.lr, self.momentum, fused=True)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Training inputs and targets; no copies."""
        return torch.from_numpy(self.inputs), torch.from_numpy(self.targets)

    def loader(self) -> DataLoader[tuple[Tensor, ...]]:
        """What a user writes: a shuffling DataLoader over a TensorDataset, in this process."""
        return DataLoader(TensorDataset(*self.tensors()), self.batch_size, shuffle=True)

    def scores(self, model: nn.Module) -> Predict:
        """The trained network as a function of arrays, in float32."""

        def predict(inputs: Array) -> Array:
            model.eval()
            with torch.inference_mode():
                return torch.cat([model(x) for x in torch.from_numpy(inputs).split(500)]).numpy()

        return predict
