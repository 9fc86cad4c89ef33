"""TRADES: accuracy on clean inputs, and outputs that an adversary cannot change much."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor
from torch.nn import functional

from wellposed.errors import ArgumentError, require
from wellposed.regularizers._adversary import (
    Adversary,
    Bounds,
    Mode,
    Norm,
    ball_of,
    require_search,
)
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer
from wellposed.regularizers._still import differs_by_mode, evaluating, still


@final
@dataclass(frozen=True, slots=True)
class Trades(BatchRegularizer):
    r"""The divergence of the worst probabilities within the ball from those at the input.

    $$R = \beta\, \mathbb{E} \max_\delta \mathrm{KL}(f(x; w) \,\|\, f(x + \delta; w))$$

    The maximum is over $\|\delta\|_p \le \varepsilon$. The probabilities compared are the softmax
    of the outputs; labels play no part in R. The search starts next to x, where the divergence has
    no gradient yet. f(x) is computed once, for the loss, the divergence and the search; the
    method's reference implementation computes it again in each step.

    Args:
        eps: Radius > 0 of the ball, in the units of what the model is given.
        beta: Weight of robustness against accuracy, >= 0; 1 to 10 are usual, 6 in the paper.
        norm: "linf", "l2" or "l1".
        steps: K >= 1.
        step: Step size; None: $2.5 \varepsilon / (K + 1)$.
        bn: Mode of the network during the search: "eval" or "train". With "eval" and a network
            that has batch norm or dropout, the search needs f(x) in eval mode: one more F.
        bounds: Least and greatest value of an input.

    Raises:
        ArgumentError: If one is outside its range; when used, if an input is outside the bounds,
            or there are fewer than two outputs per example.

    Cost: K (F + Bx) + 2F + 2B instead of F + B.

    References:
        Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan, Theoretically principled trade-off between
        robustness and accuracy, 2019, arXiv:1901.08573.
    """

    eps: float
    beta: float = 6.0
    norm: Norm = "linf"
    steps: int = 10
    step: float | None = None
    bn: Mode = "eval"
    bounds: Bounds = (0.0, 1.0)

    citation: ClassVar[str] = """\
@inproceedings{zhang2019theoretically,
  author = {Zhang, Hongyang and Yu, Yaodong and Jiao, Jiantao and Xing, Eric P. and
            El Ghaoui, Laurent and Jordan, Michael I.},
  title = {Theoretically principled trade-off between robustness and accuracy},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}"""

    def __post_init__(self) -> None:
        ball_of(self.norm, self.eps, "Trades")
        require_search("Trades", self.steps, self.step, self.bounds)
        require(0 <= self.beta < float("inf"), f"Trades needs beta >= 0, got beta={self.beta:g}")
        require(self.bn in {"eval", "train"}, f"Trades has bn eval and train, got bn={self.bn!r}")

    @property
    def adversary(self) -> Adversary:
        """The search for the inputs with other outputs."""
        ball = ball_of(self.norm, self.eps, "Trades")
        step = self.step or 2.5 * self.eps / (self.steps + 1)
        return Adversary(ball, self.bounds, self.steps, step, "near", self.bn)

    @property
    def gradients(self) -> int:
        """One per step of the search, and those through both outputs."""
        return self.steps + 2

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        if self.bn == "eval" and differs_by_mode(at.model):
            with evaluating(at.model):  # with a graph: autocast would keep weights without one
                seen = _probabilities(at.model(inputs))
            worst = self._worst(at, inputs, seen)
            outputs = at.model(inputs)
        else:
            outputs = _probabilities(at.model(inputs))
            worst = self._worst(at, inputs, outputs)
        with still(at.model):
            penalty = self.beta * divergence(outputs, at.model(worst)).mean()
        return Evaluated(outputs, penalty, at.losses(outputs).mean() + penalty)

    def _worst(self, at: Point, inputs: Tensor, outputs: Tensor) -> Tensor:
        aim = outputs.detach()
        return self.adversary.worst(at.model, inputs, lambda moved: divergence(aim, moved))


def _probabilities(outputs: Tensor) -> Tensor:
    """The outputs, if a softmax of them means something.

    Raises:
        ArgumentError: If not.
    """
    if outputs.dim() != 2 or outputs.shape[1] < 2:
        raise ArgumentError(
            "Trades compares probabilities of classes, outputs of shape (batch, classes >= 2), got "
            f"{tuple(outputs.shape)}; take AdversarialTraining instead"
        )
    return outputs


def divergence(outputs: Tensor, others: Tensor) -> Tensor:
    """KL(softmax(outputs) | softmax(others)) per example, in nats."""
    logs = [z.float() if z.element_size() < 4 else z for z in (outputs, others)]
    ours, theirs = (functional.log_softmax(z, 1) for z in logs)
    return functional.kl_div(theirs, ours, reduction="none", log_target=True).sum(1)
