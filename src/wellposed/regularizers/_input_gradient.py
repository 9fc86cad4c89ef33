"""The gradient of the loss by the inputs: Tikhonov, total variation, Lipschitz, and FGSM."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.perturb import Ball
from wellposed.regularizers._adversary import Adversary, Norm, ball_of, scattered
from wellposed.regularizers._base import Evaluated, Point
from wellposed.regularizers._batch import BatchRegularizer, require_weight
from wellposed.regularizers._still import differentiable, generator_of, still

_STEP = 0.01
_EVERYWHERE = (-math.inf, math.inf)


@final
@dataclass(frozen=True, slots=True)
class InputGradient(BatchRegularizer):
    r"""The size of the gradient of the loss by the inputs, in the norm dual to a perturbation's.

    With $g = \nabla_x \ell(f(x; w), y)$ the loss grows to first order by at most
    $\varepsilon \|g\|_q$ within distance $\varepsilon$ in the p-norm, $1/p + 1/q = 1$. By `power`,

    $$R = \lambda\, \mathbb{E} \|g\|_q, \qquad
      R = \tfrac{\lambda}{2}\, \mathbb{E} \|g\|_q^2, \qquad
      R = \lambda \max_{x \in \text{batch}} \|g\|_q:$$

    total variation (1), Tikhonov (2), and a lower estimate of the Lipschitz constant of the loss
    ("max"). The finite difference needs no second derivative: with the steepest direction v of
    norm 1, held fixed,

    $$\|g\|_q \approx D = \frac{\ell(x + h v) - \ell(x)}{h}
      = \|g\|_q + \tfrac{h}{2}\, v^\top \nabla_x^2 \ell\, v + O(h^2),$$

    so that h is a length, over which the loss is to be flat, rather than an error. The
    objective of power 1 is $(1 - \lambda/h)\, \ell(x) + (\lambda/h)\, \ell(x + h v)$: with
    $\lambda = h$ it is training on $x + h v$, the fast gradient sign method where p = inf; the
    clean branch then has no weight and is not differentiated.

    Over a long h the loss can become crooked instead of flat, so that the step from x no longer
    leads where it grows: catastrophic overfitting. `noise` is the remedy: with a random point
    $\eta$ of the ball of this radius, drawn for each input, v is the steepest direction at
    $x + \eta$ and $D = (\ell(x + \eta + h v) - \ell(x))/h$; what $\eta$ alone does to the loss
    is 0 in the mean, to first order. In eval mode it is a fixed draw. A stronger one are `steps`.

    Squared, the mean is ruled by the examples of greatest loss once the gradient is small at the
    others. With `trim` $= \tau$ they are left to the loss, and the mean is conditional,

    $$R = \tfrac{\lambda}{2}\, \mathbb{E}\left[\|g\|_q^2 \mid \ell \le \ell_{1 - \tau}\right],$$

    over the inputs whose loss is not above its quantile of order $1 - \tau$ in the batch; which
    they are is held fixed, and likewise with the other powers.

    Args:
        weight: $\lambda \ge 0$; for power 1 the radius to be robust in.
        norm: p of the perturbation: "linf" makes q = 1, "l2" 2, "l1" infinity.
        power: 1, 2 or "max".
        h: Length of the finite difference, in the units of the inputs; None: the weight for power
            1, else 0.01. Below 0.001 it measures the rounding of float32.
        estimator: "fd", or "exact": g by differentiating twice.
        symmetric: $D = (\ell(x + h v) - \ell(x - h v)) / 2h$, without the term of first order.
        noise: Radius >= 0 of $\eta$, in the units of the inputs; as long as h is a good choice.
        steps: Gradients by which v is found, at least 1: each one after the first is taken halfway
            along the v before, at $x + \tfrac h2 v$.
        share: Of the batch, from its front, on which R is estimated, in (0, 1].
        trim: $\tau$ in [0, 1): of the batch, what R leaves out, the inputs of greatest loss. The
            share is then the front of the others, at most all of them.

    Raises:
        ArgumentError: If one is outside its range, or h, symmetric, noise or steps are given with
            the exact estimator.

    Cost: with F a forward pass, B a gradient and Bx one to the inputs, 2F + Bx + 2B instead of
    F + B, and with a share s of the batch F + B + Bx + s (F + B); with noise
    F + B + s (2F + Bx + B); each further step s (F + Bx); 2F + Bx + B where $\lambda = h$; one more
    F + B if symmetric; exact, F + Bx and their gradient.

    References:
        Finlay and Oberman, Scaleable input gradient regularization for adversarial robustness,
        2019, arXiv:1905.11468. Finlay, Calder, Abbasi and Oberman, Lipschitz regularized deep
        neural networks generalize and are adversarially robust, 2018, arXiv:1808.09540.
    """

    weight: float
    norm: Norm = "linf"
    power: Literal[1, 2, "max"] = 2
    h: float | None = None
    estimator: Literal["fd", "exact"] = "fd"
    symmetric: bool = False
    share: float = 1.0
    noise: float = 0.0
    steps: int = 1
    trim: float = 0.0

    citation: ClassVar[str] = """\
@article{finlay2019scaleable,
  author = {Finlay, Chris and Oberman, Adam M.},
  title = {Scaleable input gradient regularization for adversarial robustness},
  journal = {arXiv preprint arXiv:1905.11468},
  year = {2019}
}"""

    def __post_init__(self) -> None:
        owner = "InputGradient"
        require_weight(owner, self.weight)
        ball_of(self.norm, 1.0, owner)
        good = self.power in {1, 2, "max"}
        require(good, f"{owner} has the powers 1, 2 and 'max', got power={self.power!r}")
        good = self.estimator in {"fd", "exact"}
        require(good, f"{owner} has the estimators fd and exact, got estimator={self.estimator!r}")
        given = self.h is not None or self.symmetric or self.noise != 0 or self.steps != 1
        require(
            self.estimator == "fd" or not given,
            f"{owner} with estimator='exact' has no finite difference; leave out h, symmetric, "
            "noise and steps",
        )
        require(self.steps >= 1, f"{owner} needs steps >= 1, got steps={self.steps}; try 2")
        require(
            self.h is None or 0 < self.h < float("inf"),
            f"{owner} needs a finite length h > 0, got h={self.h}; None chooses it",
        )
        good = 0 < self.share <= 1
        require(good, f"{owner} needs a share of the batch in (0, 1], got share={self.share:g}")
        good = 0 <= self.trim < 1
        require(good, f"{owner} needs a trim of the batch in [0, 1), got trim={self.trim:g}")
        good = 0 <= self.noise < float("inf")
        require(good, f"{owner} needs a finite radius noise >= 0, got noise={self.noise:g}")

    @property
    def length(self) -> float:
        """The h of the finite difference."""
        if self.h is not None:
            return self.h
        return self.weight if self.power == 1 and self.weight > 0 else _STEP

    @property
    def adversary(self) -> Adversary | None:
        """A single step in unbounded space, where that is what the objective is."""
        if not self._is_one_step:
            return None
        ball = ball_of(self.norm, self.length, "InputGradient")
        return Adversary(ball, _EVERYWHERE, step=self.length, start="zero", mode="train")

    @property
    def gradients(self) -> int:
        """That by the inputs, and those of the loss in two or three places."""
        if self._is_one_step:
            return 2
        return (4 if self.symmetric else 3) + self.steps - 1

    def evaluate(self, at: Point, inputs: Tensor) -> Evaluated:
        """See the class."""
        if self._is_one_step:
            return self._one_step(at, inputs)
        x = inputs if self.noise > 0 else differentiable(inputs)
        outputs = at.model(x)
        losses = at.losses(outputs)
        penalty = self.weight * self._reduced(self._sizes(at, x, inputs, losses))
        return Evaluated(outputs, penalty, losses.mean() + penalty)

    def alone(self, at: Point, inputs: Tensor) -> Tensor:
        """R; its clean branch has a weight of its own, so that it is differentiated."""
        if not self._is_one_step:
            return self.evaluate(at, inputs).penalty
        x = differentiable(inputs)
        return self.weight * self._sizes(at, x, inputs, at.losses(at.model(x))).mean()

    @property
    def _unit(self) -> Ball:
        return ball_of(self.norm, 1.0, "InputGradient")

    @property
    def _is_one_step(self) -> bool:
        one_sided = self.estimator == "fd" and not self.symmetric
        whole = self.share == 1 and self.trim == 0 and self.noise == 0 and self.steps == 1
        return self.power == 1 and one_sided and whole and self.weight == self.length

    def _one_step(self, at: Point, inputs: Tensor) -> Evaluated:
        """The loss at x + h v, for which x itself is only a place to look from."""
        x = differentiable(inputs)
        with still(at.model):
            outputs = at.model(x)
            losses = at.losses(outputs)
            (gradient,) = torch.autograd.grad(losses.sum(), x)
        ahead = at.losses(at.model(inputs + self.length * self._unit.steepest(gradient))).mean()
        return Evaluated(outputs.detach(), ahead - losses.detach().mean(), ahead)

    def _sizes(self, at: Point, x: Tensor, inputs: Tensor, losses: Tensor) -> Tensor:
        """The norm of the gradient, or D, per example of the share."""
        front = self._examined(losses)
        if self.estimator == "exact":
            (gradient,) = torch.autograd.grad(losses[front].sum(), x, create_graph=True)
            order = {"l1": 1, "l2": 2, "linf": math.inf}[self._unit.dual]
            norms: Tensor = torch.linalg.vector_norm(gradient[front].flatten(1), order, dim=1)
            return norms
        start = inputs[front]
        part = Point(at.model, start, None if at.targets is None else at.targets[front], at.loss)
        if self.noise > 0:
            start = start + self._noise(at.model, start)
            gradient = _gradient(part, start)
        else:
            gradient = torch.autograd.grad(losses[front].sum(), x, retain_graph=True)[0][front]
        move = self.length * self._unit.steepest(gradient)
        for _ in range(self.steps - 1):
            halfway = _gradient(part, start + 0.5 * move)
            move = self.length * self._unit.steepest(halfway)
        with still(at.model):
            ahead = part.losses(at.model(start + move))
            if not self.symmetric:
                return (ahead - losses[front]) / self.length
            behind = part.losses(at.model(start - move))
        return (ahead - behind) / (2 * self.length)

    def _examined(self, losses: Tensor) -> slice | Tensor:
        """The places of the share: the front of the batch, or of what trimming leaves of it."""
        count = math.ceil(self.share * len(losses))
        if self.trim == 0:
            return slice(count)
        left = len(losses) - math.floor(self.trim * len(losses))
        return losses.detach().argsort(stable=True)[:left].sort().values[:count]

    def _noise(self, model: nn.Module, like: Tensor) -> Tensor:
        ball = ball_of(self.norm, self.noise, "InputGradient")
        generator = generator_of(model, like.device)
        return scattered(ball, torch.zeros_like(like), _EVERYWHERE, generator)

    def _reduced(self, sizes: Tensor) -> Tensor:
        if self.power == "max":
            return sizes.max()
        return sizes.mean() if self.power == 1 else 0.5 * sizes.square().mean()


def _gradient(at: Point, inputs: Tensor) -> Tensor:
    """That of the losses by other inputs than the point's."""
    x = inputs.detach().requires_grad_()
    with still(at.model):
        return torch.autograd.grad(at.losses(at.model(x)).sum(), x)[0]
