"""Multilayer perceptron."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import UnknownNameError, require
from wellposed.models._base import size_of

ACTIVATIONS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "relu": nn.ReLU,
        "sigmoid": nn.Sigmoid,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "tanh": nn.Tanh,
    }
)


@final
class MLP(nn.Module):
    r"""Fully connected layers with an activation between them.

    $$f(x) = W_L\, \sigma(W_{L-1} \cdots \sigma(W_1 x + b_1) \cdots + b_{L-1}) + b_L$$

    With `batch_norm` each hidden layer is normalized before its activation; with `dropout` units
    are left out after it. `hidden=(1024, 1024), batch_norm=True, dropout=0.2` is the mnistfc of
    the Entropy-SGD papers.

    Args:
        shape: Shape of one input; it is flattened.
        classes: Number of outputs.
        hidden: Widths of the hidden layers; none makes the linear classifier.
        activation: $\sigma$, one of elu, gelu, relu, sigmoid, silu, softplus, tanh.
        batch_norm: Whether $\sigma(W x + b)$ is $\sigma(\operatorname{norm}(W x + b))$ instead.
        dropout: Probability, in [0, 1), that a hidden unit is left out in training.

    Raises:
        ArgumentError: If a width is below 1, `dropout` is outside [0, 1), or the shape is empty.
        UnknownNameError: If no activation has that name.

    References:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.
    """

    citation: ClassVar[str] = """\
@article{rumelhart1986learning,
  author = {Rumelhart, David E. and Hinton, Geoffrey E. and Williams, Ronald J.},
  title = {Learning representations by back-propagating errors},
  journal = {Nature}, volume = {323}, pages = {533--536}, year = {1986}
}"""

    def __init__(
        self,
        *,
        shape: Sequence[int],
        classes: int,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require(
            all(width >= 1 for width in hidden),
            f"MLP needs hidden widths of at least 1, got hidden={tuple(hidden)}",
        )
        require(0 <= dropout < 1, f"MLP needs dropout in [0, 1), got {dropout:g}; try 0.2")
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation", activation, ACTIVATIONS)
        widths = (size_of(shape, classes, "MLP"), *hidden)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers.append(nn.Linear(fan_in, fan_out))
            layers += [nn.BatchNorm1d(fan_out)] if batch_norm else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout > 0 else []
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.layers(inputs.flatten(1))
        return scores
