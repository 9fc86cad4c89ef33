"""Training on the worst inputs that an adversary finds."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import Tensor

from wellposed.errors import require
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

_STARTS = ("uniform", "wide", "zero")


@final
@dataclass(frozen=True, slots=True)
class AdversarialTraining(BatchRegularizer):
    r"""The loss at the worst inputs that an adversary finds, in place of that at the inputs.

    $$R = \mathbb{E}\, [\max_{\|\delta\|_p \le \varepsilon} \ell(x + \delta) - \ell(x)]$$

    Here $\ell(x) = \ell(f(x; w), y)$, and mean loss + R is the loss at the worst input of the
    ball, as far as `steps` steps of projected ascent from a random start find it; its gradient is
    that of the loss at this input (Danskin). The loss at x is not needed and not computed:
    `Evaluated.outputs` are those at the worst inputs. In eval mode the start is a fixed draw.

    One step from a start "uniform" is fast FGSM, one from "wide" N-FGSM, several are PGD training.
    A single step can fail silently, by catastrophic overfitting: `wellposed.train.fit` watches
    for it where there is a validation part.

    Args:
        eps: Radius > 0 of the ball, in the units of what the model is given.
        norm: "linf", "l2" or "l1".
        steps: K >= 1.
        step: Step size; None: $2.5 \varepsilon / (K + 1)$, which is $1.25 \varepsilon$ for a
            single step, and $\varepsilon$ for a single one from a wide start.
        init: "uniform": a random point of the ball. "wide": of the ball of twice the radius, and
            what is found is kept within the bounds, but not within the ball. "zero": x.
        bn: Mode of the network during the search: "eval", or "train", where batch norm works with
            the statistics of the perturbed batch.
        bounds: Least and greatest value of an input.

    Raises:
        ArgumentError: If one is outside its range; when used, if an input is outside the bounds.

    Cost: K (F + Bx) + F + B instead of F + B.

    References:
        Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to
        adversarial attacks, 2017, arXiv:1706.06083. Wong, Rice and Kolter, Fast is better than
        free, 2020, arXiv:2001.03994. de Jorge et al., Make some noise: reliable and efficient
        single-step adversarial training, 2022, arXiv:2202.01181.
    """

    eps: float
    norm: Norm = "linf"
    steps: int = 1
    step: float | None = None
    init: Literal["uniform", "wide", "zero"] = "uniform"
    bn: Mode = "eval"
    bounds: Bounds = (0.0, 1.0)

    citation: ClassVar[str] = """\
@inproceedings{madry2018towards,
  author = {Madry, Aleksander and Makelov, Aleksandar and Schmidt, Ludwig and
            Tsipras, Dimitris and Vladu, Adrian},
  title = {Towards deep learning models resistant to adversarial attacks},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""

    def __post_init__(self) -> None:
        owner = "AdversarialTraining"
        ball_of(self.norm, self.eps, owner)
        require_search(owner, self.steps, self.step, self.bounds)
        require(self.init in _STARTS, f"{owner} has init {_STARTS}, got init={self.init!r}")
        require(self.bn in {"eval", "train"}, f"{owner} has bn eval and train, got bn={self.bn!r}")

    @property
    def adversary(self) -> Adversary:
        """The search for the worst inputs."""
        ball = ball_of(self.norm, self.eps, "AdversarialTraining")
        share = 1.0 if self.init == "wide" and self.steps == 1 else 2.5 / (self.steps + 1)
        step = self.step or share * self.eps
        return Adversary(ball, self.bounds, self.steps, step, self.init, self.bn)

    @property
    def gradients(self) -> int:
        """One per step of the search, and that of the loss where it ends."""
        return self.steps + 1

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        outputs = at.model(self.adversary.worst(at.model, inputs, at.losses))
        objective = at.losses(outputs).mean()
        return Evaluated(outputs, objective.new_zeros(()), objective)

    def alone(self, at: Point, inputs: Tensor) -> Tensor:
        """By how much the mean loss is larger at the worst inputs."""
        return self.evaluate(at, inputs).objective - at.losses(at.model(inputs)).mean()
