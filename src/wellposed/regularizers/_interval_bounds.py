"""Certified training: the loss at the worst outputs that interval bounds allow."""

from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

from torch import Tensor

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._adversary import Bounds, require_within
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer
from wellposed.regularizers._interval import Interval
from wellposed.regularizers._still import evaluating


@final
@dataclass(frozen=True, slots=True)
class IntervalBounds(BatchRegularizer):
    r"""The loss at the worst outputs that interval bounds allow, for robustness with a proof.

    $$R = \kappa\, \mathbb{E}\, [\bar\ell(x) - \ell(x)]$$

    The interval of all inputs within $\varepsilon$ in the maximum norm goes through the network,
    which gives upper bounds of $z_j - z_y$; $\bar\ell$ is the loss at these differences. Where it
    is cross-entropy, no input of the ball has a larger one: training makes the network provably
    robust, by bounds as simple as these (`wellposed.certify` with method "ibp"). The objective is
    $(1 - \kappa)\, \ell + \kappa\, \bar\ell$.

    For small networks and radii. Deeper ones need $\varepsilon$ to grow during training: give
    a regularizer of larger eps to each part of it.

    Args:
        eps: Radius > 0 in the maximum norm, in the units of what the model is given.
        weight: $\kappa$ from 0 to 1.
        bounds: Least and greatest value of an input.

    Raises:
        ArgumentError: If one is outside its range; when used, if an input is outside the bounds,
            or at an operation whose interval is not known. The interval goes through the network in
            eval mode.

    Cost: 3F + 3B instead of F + B.

    References:
        Gowal et al., On the effectiveness of interval bound propagation for training verifiably
        robust models, 2018, arXiv:1810.12715.
    """

    eps: float
    weight: float = 0.5
    bounds: Bounds = (0.0, 1.0)

    citation: ClassVar[str] = """\
@article{gowal2018effectiveness,
  author = {Gowal, Sven and Dvijotham, Krishnamurthy and Stanforth, Robert and Bunel, Rudy and
            Qin, Chongli and Uesato, Jonathan and Arandjelovic, Relja and Mann, Timothy and
            Kohli, Pushmeet},
  title = {On the effectiveness of interval bound propagation for training verifiably robust
           models},
  journal = {arXiv preprint arXiv:1810.12715},
  year = {2018}
}"""

    def __post_init__(self) -> None:
        good = 0 < self.eps < float("inf")
        require(good, f"IntervalBounds needs a finite radius eps > 0, got eps={self.eps:g}")
        good = 0 <= self.weight <= 1
        require(good, f"IntervalBounds needs a weight from 0 to 1, got weight={self.weight:g}")

    @property
    def gradients(self) -> int:
        """That of the loss, and those of center and radius."""
        return 3

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        require_within(inputs.detach(), self.bounds)
        outputs = at.model(inputs)
        low, high = self.bounds
        ends = (inputs - self.eps).clamp(low, high), (inputs + self.eps).clamp(low, high)
        with evaluating(at.model):  # what is proven is proven of the network in eval mode
            found = at.model(cast("Any", Interval(*ends)))
        if not isinstance(found, Interval) or found.lower.dim() != 2 or at.targets is None:
            raise ArgumentError(
                "IntervalBounds needs outputs of shape (batch, classes); this network gives "
                f"{type(found).__name__} for an interval of inputs"
            )
        clean = at.losses(outputs).mean()
        worst = at.losses(found.differences(at.targets)).mean()
        penalty = self.weight * (worst - clean)
        return Evaluated(outputs, penalty, clean + penalty)
