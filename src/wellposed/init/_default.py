"""What each layer does by itself."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wellposed.init._base import Initializer


@final
@dataclass(frozen=True, slots=True)
class Default(Initializer):
    r"""Leave the weights as the layers drew them when they were built.

    torch draws linear and convolution weights and their biases uniformly from
    $\pm 1 / \sqrt{\text{fan in}}$: variance $1 / (3\, \text{fan in})$.
    """

    citation: ClassVar[str] = ""

    def __call__(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch ..."] | None,
        generator: torch.Generator,
    ) -> None:
        """Do nothing."""
