"""The optimizer that trained a network, as far as stability depends on it."""

from dataclasses import dataclass
from typing import Any, final

from torch.optim import Optimizer

from wellposed.errors import require


@final
@dataclass(frozen=True, slots=True)
class Descent:
    r"""The step that training took.

    Args:
        name: Of the optimizer, such as "sgd".
        lr: $\eta$, the step size to be judged, above 0.
        momentum: $\beta$, in [0, 1).
        nesterov: Whether the gradient is taken ahead.
        betas: $(\beta_1, \beta_2)$ of Adam's kind; None for others.
        weight_decay: Coupled or not, at least 0.
        batch_size: Examples per gradient; None if not known, 0 for all of them.

    Raises:
        ArgumentError: If a number is outside its range.
    """

    name: str
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] | None = None
    weight_decay: float = 0.0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        require(self.lr > 0, f"a step size is above 0, got lr={self.lr:g}; give the one used")
        require(0 <= self.momentum < 1, f"momentum is in [0, 1), got {self.momentum:g}; try 0.9")
        require(
            self.betas is None or all(0 <= beta < 1 for beta in self.betas),
            f"betas are in [0, 1), got {self.betas}; try (0.9, 0.999)",
        )
        require(
            self.weight_decay >= 0,
            f"weight_decay is at least 0, got {self.weight_decay:g}; try 0",
        )
        require(
            self.batch_size is None or self.batch_size >= 0,
            f"batch_size is at least 1, or 0 for all examples, got {self.batch_size}",
        )

    @classmethod
    def of(cls, optimizer: Optimizer, *, batch_size: int | None = None) -> "Descent":
        """What an optimizer says of itself, in the group with the largest step size.

        Args:
            optimizer: Any; what it has no word for is left at 0.
            batch_size: Examples per gradient.

        Raises `ArgumentError` if its step size is not above 0.
        """
        group: dict[str, Any] = max(optimizer.param_groups, key=lambda g: float(g["lr"]))
        betas = group.get("betas")
        return cls(
            name=type(optimizer).__name__.lower(),
            lr=float(group["lr"]),
            momentum=float(group.get("momentum") or 0.0),
            nesterov=bool(group.get("nesterov", False)),
            betas=None if betas is None else (float(betas[0]), float(betas[1])),
            weight_decay=float(group.get("weight_decay") or 0.0),
            batch_size=batch_size,
        )
