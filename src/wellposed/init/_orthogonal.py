"""Orthogonal initialization."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.init._base import LayerInitializer


@final
@dataclass(frozen=True, slots=True)
class Orthogonal(LayerInitializer):
    r"""Rows or columns orthonormal, times a gain: $W W^\top = g^2 I$ or $W^\top W = g^2 I$.

    All singular values are g, so a deep linear network neither stretches nor shrinks anything at
    $g = 1$. Filters are flattened to (outputs, channels times kernel) first.

    Args:
        gain: $g > 0$.

    Raises:
        ArgumentError: If the gain is not positive.

    References:
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
        deep linear neural networks, 2014, arXiv:1312.6120.
    """

    gain: float = 1.0

    citation: ClassVar[str] = """\
@inproceedings{saxe2014exact,
  author = {Saxe, Andrew M. and McClelland, James L. and Ganguli, Surya},
  title = {Exact solutions to the nonlinear dynamics of learning in deep linear neural networks},
  booktitle = {International Conference on Learning Representations}, year = {2014},
  note = {arXiv:1312.6120}
}"""

    def __post_init__(self) -> None:
        require(self.gain > 0, f"Orthogonal needs gain > 0, got {self.gain:g}; try 1")

    def fill(self, weight: Tensor, generator: torch.Generator) -> None:
        """Fill one weight, in place."""
        nn.init.orthogonal_(weight, self.gain, generator)
