"""Stochastic variance-reduced gradients."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim.optimizer import ParamsT

from wellposed.errors import ArgumentError, require
from wellposed.linalg import flatten, unflatten
from wellposed.optim._answers import ask, scalar
from wellposed.optim._kept import Kept
from wellposed.optim._large_sample import LargeSample

SNAPSHOT, FULL = "snapshot", "full_gradient"
_SAME = 1e-5  # relative difference of two losses of one function at one point


class SVRG(LargeSample):
    r"""Minibatch steps whose noise vanishes at a snapshot of the weights.

    $$w \leftarrow w - \eta\,\bigl[g_b(w) - a\,(g_b(\tilde w) - \nabla E(\tilde w))\bigr]$$

    $\tilde w$ is a snapshot, $g_b$ the gradient on a minibatch of the large sample on which
    $\nabla E(\tilde w)$ was taken. In the mean over the minibatches the step is that of the full
    gradient, for every a; its variance vanishes as w and $\tilde w$ meet, so that with a constant
    step size it converges linearly on a strongly convex sample, where SGD stalls. On deep networks
    the two gradients decorrelate within few steps, and it has been found to gain nothing.

    ```text
    for epoch in ...:
        optimizer.snapshot(on_the_whole_sample)     # zero_grad, backward on all of it, its loss
        for x, y in batches:
            optimizer.step(on_the_batch)            # zero_grad, backward, its loss: called twice
    ```

    A minibatch must give the same function at both evaluations: batch norm and dropout in training
    mode break that. Give `model`, and they are refused; what draws random numbers otherwise is
    noticed at the first step after a snapshot, where both losses must agree.

    Cost: two minibatch gradients per step, one gradient on the whole sample per snapshot
    (`effort.gradients` and `snapshots`). Memory: two copies of the weights, two more during a step.

    Args:
        params: Parameters, or one parameter group, of float32 or float64 on one device.
        lr: Step size $\eta \ge 0$; below about $1/(4L)$ for an L-smooth loss.
        coefficient: a in [0, 1]: 1 is the paper's, 0 is SGD.
        model: Whose modules are searched for batch norm and dropout in training mode, or None.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Johnson and Zhang, Accelerating stochastic gradient descent using predictive variance
        reduction, 2013; Defazio and Bottou, On the ineffectiveness of variance reduced optimization
        for deep learning, 2019, arXiv:1812.04529; Yin et al., A coefficient makes SVRG effective,
        2023, arXiv:2311.05589.
    """

    form = "computes the loss on a minibatch, calls backward() and returns the loss"
    by_hand = (
        "it needs a snapshot of the whole sample now and then, which training loops do not take; "
        "in a program: optimizer.snapshot(closure) on all data, then optimizer.step(closure)"
    )
    citation: ClassVar[str] = """\
@inproceedings{johnson2013accelerating,
  author    = {Johnson, Rie and Zhang, Tong},
  title     = {Accelerating Stochastic Gradient Descent Using Predictive Variance Reduction},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2013}
}"""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.05,
        *,
        coefficient: float = 1.0,
        model: nn.Module | None = None,
    ) -> None:
        require(lr >= 0, f"SVRG got lr={lr:g}; a step size is at least 0, try 0.05")
        require(
            0 <= coefficient <= 1,
            f"SVRG got coefficient={coefficient:g}; it is in [0, 1], 1 for the method of the paper",
        )
        self.model = model
        own = {"lr": lr, "coefficient": coefficient, "snapshots": 0, "fresh": False}
        super().__init__(params, own)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "model": self.model}

    @property
    def snapshots(self) -> int:
        """Snapshots taken: gradients on the whole sample, which `effort` does not count."""
        return int(self.param_groups[0]["snapshots"])

    @torch.no_grad()
    def snapshot(self, closure: Callable[[], Any]) -> Tensor:
        """Remember the weights and the full gradient that the closure computes; its loss.

        Args:
            closure: Computes the mean loss on the whole sample and its gradient, by one backward()
                or by several that add up, and returns the loss.

        Raises `ArgumentError` if loss or gradient are not finite, or the model is in a mode that
        breaks the method; the weights are not changed.
        """
        self._check_model()
        weights, kept = self._weights(), Kept(self._weights())
        with kept.or_restored():
            loss, full = self._gradient(closure, weights)
        for w, g in zip(weights, unflatten(full, weights), strict=True):
            self.state[w].update({SNAPSHOT: w.detach().clone(), FULL: g.clone()})
        group = self.param_groups[0]
        group["snapshots"] += 1
        group["fresh"] = True
        return loss

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; the loss of the minibatch before it.

        Raises `ArgumentError` if there is no snapshot, the closure is not of the right form, or
        anything is not finite; the weights are then as before.
        """
        self._check_model()
        group, weights = self.param_groups[0], self._weights()
        if closure is None:
            ask(closure, "SVRG", self.form)
        require(
            all(SNAPSHOT in self.state.get(w, {}) for w in weights),
            "SVRG has no snapshot of all weights; call optimizer.snapshot(closure) first, with a "
            "closure for the whole sample",
        )
        full = flatten([self.state[w][FULL] for w in weights], weights)
        kept = Kept(weights)
        with kept.or_restored():
            torch._foreach_copy_(weights, [self.state[w][SNAPSHOT] for w in weights])
            there, at_snapshot = self._gradient(closure, weights)
            kept.restore()
            loss, here = self._gradient(closure, weights)  # last, so that it stays in w.grad
            self._count(gradients=2)
            self._require_function(float(there), float(loss))
            share = group["coefficient"]
            direction = (here - share * at_snapshot) + share * full  # the full one if they agree
            kept.move(direction, -group["lr"])
            require(
                Kept(weights).norm() < float("inf"),
                f"a step of SVRG with lr={group['lr']:g} leaves the numbers; the weights were not "
                "changed, try a smaller lr",
            )
        group["fresh"], group["outcome"] = False, "accepted"
        return loss

    def _gradient(
        self, closure: Callable[[], Any] | None, weights: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Loss and gradient of a closure at the present weights, shapes () and (n,)."""
        for w in weights:
            w.grad = None
        with torch.enable_grad():
            answer = ask(closure, "SVRG", self.form)
        loss = scalar(answer, "SVRG").detach()
        require(
            any(w.grad is not None for w in weights),
            "the closure of SVRG left no gradient in the weights; it calls backward() on the loss, "
            "and returns it",
        )
        gradient = flatten([w.grad for w in weights], weights)
        self._finite(gradient)
        return loss, gradient

    def _require_function(self, there: float, here: float) -> None:
        """At the first step after a snapshot both losses are of one function at one point."""
        same = abs(there - here) <= _SAME * max(abs(there), abs(here))
        require(
            same or not self.param_groups[0]["fresh"] or self._has_moved(),
            f"the closure of SVRG gives {there:.9g} and then {here:.9g} at the same weights; a "
            "minibatch must be one function, take dropout and random augmentation out",
        )

    def _has_moved(self) -> bool:
        """Whether the weights are no longer those of the snapshot: somebody else moved them."""
        return not all(torch.equal(w, self.state[w][SNAPSHOT]) for w in self._weights())

    def _check_model(self) -> None:
        """Refuse modules whose value is not a function of the weights and one example.

        Raises:
            ArgumentError: If there is one in training mode.
        """
        for name, module in () if self.model is None else self.model.named_modules():
            drops = isinstance(module, _DropoutNd) and module.p > 0
            if module.training and (drops or isinstance(module, _BatchNorm)):
                raise ArgumentError(
                    f"SVRG found {type(module).__name__} ({name}) in training mode, where two "
                    "evaluations of a batch are two functions; call model.eval() before, or use "
                    "another optimizer"
                )
