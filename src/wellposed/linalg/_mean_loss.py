"""The mean of a loss over data, as a function of the weights that training changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from wellposed.errors import require

PerExample: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> losses, shape (batch,)."""

Penalty: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, inputs, targets) -> a number, shape ()."""


@final
@dataclass(frozen=True, slots=True)
class MeanLoss:
    r"""$E(w) = \frac1N \sum_i \ell(f(x_i; w), y_i) + R(w)$ on one batch, w the trainable weights.

    Args:
        model: f, in the mode that it is in; frozen parameters and buffers are constants.
        loss: (outputs, targets) -> losses per example, shape (batch,).
        penalty: (model, inputs, targets) -> R, or None for 0.

    Raises:
        ArgumentError: If no parameter requires a gradient, or one is complex or has no shape yet.
    """

    model: nn.Module
    loss: PerExample
    penalty: Penalty | None = None

    def __post_init__(self) -> None:
        require(
            bool(self.params),
            f"{type(self.model).__name__} has no parameters that require a gradient, and curvature "
            "is a derivative by them; unfreeze some",
        )
        require(
            not any(is_lazy(p) for p in self.params),
            f"{type(self.model).__name__} has weights without a shape; a lazy model gets them in "
            "its first forward pass, run one before",
        )
        require(
            not any(p.is_complex() for p in self.params),
            f"{type(self.model).__name__} has complex weights, and curvature is that of real ones; "
            "keep torch.view_as_real of them as parameters",
        )

    @property
    def params(self) -> list[nn.Parameter]:
        """The parameters that training changes, tied ones once."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def outputs(self, inputs: Tensor) -> Tensor:
        """F at the inputs."""
        found: Tensor = self.model(inputs)
        return found

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Loss per example, shape (batch,); raises `ArgumentError` if it is something else."""
        found = self.loss(self.outputs(inputs), targets)
        require(
            found.shape == inputs.shape[:1],
            f"the loss gives shape {tuple(found.shape)} for {len(inputs)} examples; a mean over "
            "batches needs one value per example: a torch loss takes reduction='none'",
        )
        return found

    def objective(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """E, shape ()."""
        mean = self.losses(inputs, targets).mean()
        if self.penalty is None:
            return mean
        return mean + self.penalty(self.model, inputs, targets)

    def functional(
        self, method: Callable[..., Tensor], others: Sequence[Tensor]
    ) -> Callable[..., Tensor]:
        """(weights, *arguments) -> what the method gives with these weights in the model.

        Args:
            method: One of the three above.
            others: Values for what `constants` names, in its order.
        """
        names = [n for n, p in self.model.named_parameters() if p.requires_grad]
        holder = _Holder(self.model, method)
        fixed = dict(zip(self.constants(), others, strict=True))

        def call(weights: Sequence[Tensor], *arguments: Tensor) -> Tensor:
            values = dict(zip(names, weights, strict=True)) | fixed
            prefixed = {f"model.{name}": value for name, value in values.items()}
            found: Tensor = functional_call(holder, prefixed, arguments)
            return found

        return call

    def constants(self) -> Mapping[str, Tensor]:
        """Frozen parameters and buffers, by name."""
        frozen = {n: p.detach() for n, p in self.model.named_parameters() if not p.requires_grad}
        return frozen | dict(self.model.named_buffers())


class _Holder(nn.Module):
    """Makes a method of the loss a module, so that the model's weights can be replaced in it."""

    def __init__(self, model: nn.Module, method: Callable[..., Tensor]) -> None:
        super().__init__()
        self.train(model.training)
        self.model, self.method = model, method

    def forward(self, *arguments: Tensor) -> Tensor:
        return self.method(*arguments)
