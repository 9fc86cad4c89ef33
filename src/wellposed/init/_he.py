"""He's initialization."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.init._base import LayerInitializer


@final
@dataclass(frozen=True, slots=True)
class He(LayerInitializer):
    r"""Variance $2 / \text{fan}$: what keeps the scale of signals under ReLU.

    Args:
        mode: "fan_in" keeps the variance of signals forward, "fan_out" that of gradients
            backward.
        distribution: "normal" or "uniform".

    Raises:
        ArgumentError: If mode or distribution are unknown.

    References:
        He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015, equations 10 and 14,
        arXiv:1502.01852.
    """

    mode: Literal["fan_in", "fan_out"] = "fan_in"
    distribution: Literal["normal", "uniform"] = "normal"

    citation: ClassVar[str] = """\
@inproceedings{he2015delving,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title = {Delving deep into rectifiers: Surpassing human-level performance on {ImageNet}
    classification},
  booktitle = {IEEE International Conference on Computer Vision},
  pages = {1026--1034}, year = {2015}, note = {arXiv:1502.01852}
}"""

    def __post_init__(self) -> None:
        require(
            self.mode in {"fan_in", "fan_out"},
            f"He counts fan_in or fan_out, got mode={self.mode!r}",
        )
        require(
            self.distribution in {"normal", "uniform"},
            f"He draws from normal or uniform, got distribution={self.distribution!r}",
        )

    def fill(self, weight: Tensor, generator: torch.Generator) -> None:
        """Fill one weight, in place."""
        normal = self.distribution == "normal"
        draw = nn.init.kaiming_normal_ if normal else nn.init.kaiming_uniform_
        draw(weight, mode=self.mode, nonlinearity="relu", generator=generator)
