"""L1, L2 and their sum on the weights."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._base import Point, Proximal, Regularizer, is_weight


class Shrinkage(Proximal):
    r"""What L1, L2 and elastic net are: $R(w) = \alpha \|w\|_1 + \tfrac{\beta}{2} \|w\|_2^2$."""

    @property
    @abstractmethod
    def strengths(self) -> tuple[float, float]:
        r"""$(\alpha, \beta)$, both at least 0."""

    def __call__(self, at: Point) -> Float[Tensor, ""]:
        """Value at the current weights; the batch is not looked at."""
        l1, l2 = self.strengths
        value = torch.zeros(())  # on the CPU: a scalar joins whatever device the weights are on
        for w in at.weights.values():
            if l1:
                value = value + l1 * w.abs().sum()
            if l2:
                value = value + 0.5 * l2 * w.square().sum()
        return value

    @torch.no_grad()
    def prox_(self, parameters: Sequence[Tensor], step: float) -> None:
        r"""Soft threshold by step $\alpha$, then division by $1 + $ step $\beta$, in place.

        Weights that reach zero are exactly zero. The number of operations does not grow with the
        number of tensors.

        Raises:
            ArgumentError: If `step` is not positive.
        """
        if not step > 0:
            raise ArgumentError(f"prox_ needs step > 0, got {step:g}")
        l1, l2 = self.strengths
        if not (weights := [p for p in parameters if is_weight(p)]):
            return
        if l1:
            within = torch._foreach_clamp_min(weights, -step * l1)
            torch._foreach_clamp_max_(within, step * l1)
            torch._foreach_sub_(weights, within)  # w - clip(w, -t, t): exact zeros, none negative
        if l2:
            torch._foreach_div_(weights, 1 + step * l2)

    def merged(self, other: Regularizer) -> "ElasticNet | None":
        """The elastic net with both strengths added; None for what is no such thing."""
        if not isinstance(other, Shrinkage):
            return None
        return ElasticNet(*(a + b for a, b in zip(self.strengths, other.strengths, strict=True)))


@final
@dataclass(frozen=True, slots=True)
class L1(Shrinkage):
    r"""$R(w) = \alpha \|w\|_1$ over all weight matrices and filters: drives weights to zero.

    They become exactly zero under the proximal map, only nearly so when R is differentiated.

    Args:
        strength: $\alpha \ge 0$.

    Raises:
        ArgumentError: If `strength` is negative or not finite.

    References:
        Tibshirani, Regression shrinkage and selection via the lasso, 1996.
    """

    strength: float

    citation: ClassVar[str] = """\
@article{tibshirani1996regression,
  author = {Tibshirani, Robert},
  title = {Regression shrinkage and selection via the lasso},
  journal = {Journal of the Royal Statistical Society, Series B},
  volume = {58}, number = {1}, pages = {267--288}, year = {1996}
}"""

    def __post_init__(self) -> None:
        _require_strength("L1", "strength", self.strength)

    @property
    def strengths(self) -> tuple[float, float]:
        r"""$(\alpha, 0)$."""
        return self.strength, 0.0


@final
@dataclass(frozen=True, slots=True)
class L2(Shrinkage):
    r"""$R(w) = \tfrac{\beta}{2} \|w\|_2^2$ over all weight matrices and filters.

    Its gradient is $\beta w$: under plain SGD it is weight decay $\beta$ without the biases.

    Args:
        strength: $\beta \ge 0$.

    Raises:
        ArgumentError: If `strength` is negative or not finite.

    References:
        Tikhonov, Solution of incorrectly formulated problems and the regularization method, 1963.
    """

    strength: float

    citation: ClassVar[str] = ""

    def __post_init__(self) -> None:
        _require_strength("L2", "strength", self.strength)

    @property
    def strengths(self) -> tuple[float, float]:
        r"""$(0, \beta)$."""
        return 0.0, self.strength


@final
@dataclass(frozen=True, slots=True)
class ElasticNet(Shrinkage):
    r"""$R(w) = \alpha \|w\|_1 + \tfrac{\beta}{2} \|w\|_2^2$ over all weight matrices and filters.

    Args:
        l1: $\alpha \ge 0$. Drives weights to zero; exactly so under the proximal map.
        l2: $\beta \ge 0$. Shrinks weights in proportion; under plain SGD, weight decay.

    Raises:
        ArgumentError: If a strength is negative or not finite.

    References:
        Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
    """

    l1: float = 0.0
    l2: float = 0.0

    citation: ClassVar[str] = """\
@article{zou2005regularization,
  author = {Zou, Hui and Hastie, Trevor},
  title = {Regularization and variable selection via the elastic net},
  journal = {Journal of the Royal Statistical Society, Series B},
  volume = {67}, number = {2}, pages = {301--320}, year = {2005}
}"""

    def __post_init__(self) -> None:
        _require_strength("ElasticNet", "l1", self.l1)
        _require_strength("ElasticNet", "l2", self.l2)

    @property
    def strengths(self) -> tuple[float, float]:
        r"""$(\alpha, \beta)$."""
        return self.l1, self.l2


def _require_strength(owner: str, name: str, value: float) -> None:
    require(0 <= value < float("inf"), f"{owner} needs a finite {name} >= 0, got {name}={value:g}")
