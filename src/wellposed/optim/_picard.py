"""One fixed-point iteration that is Hamilton-Jacobi, heat smoothing, SAM and extragradient."""

from collections.abc import Callable, Iterator
from math import inf, nan, sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim import _probe
from wellposed.optim._base import evaluate
from wellposed.optim._buckets import SLOTS, Bucket, whole
from wellposed.optim._cycle import draw, exchange
from wellposed.optim._inner import sgd_step
from wellposed.optim._picard_check import check_group
from wellposed.optim._two_level import TwoLevel, set_gradients

Listed = list[tuple[dict[str, Any], Bucket, list[Tensor]]]


class Picard(TwoLevel):
    r"""Probe the gradient around an anchor L times, then let a base optimizer step along it.

    The gradient of a relaxed loss at x is a fixed point, $p = \nabla f(x - t\,p)$ along the
    characteristics of the Hamilton-Jacobi equation, or a mean, $p = E\,\nabla f(x + \sigma\xi)$
    for the heat equation. With a fresh minibatch gradient g at each probe y,

    $$y_0 = x + \sigma\xi_0, \quad p_0 = 0, \qquad p_i = (1 - a)\,p_{i-1} + a\,g(y_{i-1}), \quad
    y_i = x - t\,N(p_i) + \sigma\xi_i, \qquad x \leftarrow \text{Base}(x, p_L)$$

    where N is the identity, or normalizes. `Heat`, `SAM`, `ASAM` and `Extragradient` are this
    class with other defaults; $t > 0$ with $a = 1 - b$ is Hamilton-Jacobi by a fixed point with
    damping b, which visits the points that `HamiltonJacobi` visits by descent. $t < 0$ relaxes by
    the sup-convolution, which asks whether everything nearby is good.

    Each `step()` consumes one gradient, whichever its place in the cycle. While training, the
    model holds y; `eval()` or `at_anchor()` put x there, exactly. With noise the very first step
    is one of the base at $\sigma = 0$: nobody could perturb the weights before it.

    Cost: one gradient evaluation per step, L per update of x. Memory: the base's, one copy of the
    weights for the anchor, one for the mean if there is one, one for noise.

    Args:
        params: Parameters or parameter groups. Any argument below but `base`, `inner_steps` and
            `same_batch` may differ between groups and be scheduled (`GroupScheduler`).
        base: The optimizer that moves x: (params, lr=...) -> Optimizer, such as
            `torch.optim.AdamW`; None for SGD with the seven arguments after `lr`.
        lr: Step size of the base, at least 0; a group with lr 0 is not moved by noise either.
        momentum: Of the built-in SGD, at least 0.
        dampening: As for `torch.optim.SGD`.
        weight_decay: At least 0, applied at x.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        maximize: Ascend instead; the probes change sides too.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        inner_steps: L >= 1, gradients per update of x.
        pde_time: t, of either sign: how far the probes go along the gradient; None for lr.
        normalize: None; "norm" for $N(p) = p / \|p\|$, over all groups; "adaptive" for
            $N(p) = x^2 p / \|x p\|$, elementwise products.
        spread: $\sigma = \sqrt{t} \ge 0$ of the heat equation, standard deviation of the probes.
        antithetic: Whether noise comes in pairs $\pm\xi$, which cancels errors of odd order.
        mean: Weight a of the newest gradient in (0, 1], "uniform" for 1/i, or None for the newest.
        noise_seed: With the counters it determines all noise.
        same_batch: Whether one step is a whole cycle on one minibatch: `step(closure)` then needs
            a closure and calls it L times. Loops that give no closure cannot use it.

    Raises:
        ArgumentError: If a value is out of range, or an argument belongs to another base.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """

    citation: ClassVar[str] = """\
@article{chaudhari2018deep,
  author  = {Chaudhari, Pratik and Oberman, Adam and Osher, Stanley and Soatto, Stefano and
             Carlier, Guillaume},
  title   = {Deep Relaxation: Partial Differential Equations for Optimizing Deep Neural Networks},
  journal = {Research in the Mathematical Sciences},
  volume  = {5},
  year    = {2018},
  note    = {arXiv:1704.04932}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        base: Callable[..., Optimizer] | None = None,
        *,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        inner_steps: int = 2,
        pde_time: float | None = 0.0,
        normalize: str | None = None,
        spread: float = 0.0,
        antithetic: bool = True,
        mean: float | str | None = None,
        noise_seed: int = 0,
        same_batch: bool = False,
    ) -> None:
        sgd = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "fused": fused,
        }
        own = {
            "inner_steps": inner_steps,
            "pde_time": pde_time,
            "normalize": normalize,
            "spread": spread,
            "antithetic": antithetic,
            "mean": mean,
            "noise_seed": noise_seed,
            "same_batch": same_batch,
            "outer_momentum": 0.0,  # the rosters ask
            "displaced": False,
        }
        super().__init__(params, base, lr=lr, sgd=sgd, own=own)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Consume one gradient; at the end of a cycle, move the anchor.

        Args:
            closure: Recomputes the loss and its gradient; called exactly once, or, with
                `same_batch`, once per gradient of a cycle.

        Returns:
            What the closure returned, the first time; or None. A step while the model holds the
            anchor, with a sparse gradient, or with `same_batch` but without a closure is refused
            by an `ArgumentError`.
        """
        self.check_training()
        first = self.param_groups[0]
        require(
            closure is not None
            or not first["same_batch"]
            or all(group["lr"] == 0 for group in self.param_groups),  # nothing will move
            "same_batch=True was given and step() got no closure; give it one that recomputes "
            "loss and gradient, or try same_batch=False, one gradient per step",
        )
        loss = evaluate(closure)
        self._consume()
        while first["same_batch"] and first["inner_index"] > 0:
            evaluate(closure)
            self._consume()
        return loss

    @torch.no_grad()
    def finish_cycle(self) -> None:
        """Bring the model back to the anchor; gradients of an unfinished cycle are dropped."""
        with_anchor = self.param_groups[0]["at_anchor"]
        self.train()
        self._return()
        if with_anchor:
            self.eval()

    def diagnostics(self) -> dict[str, float]:
        r"""In which regime the iteration runs; deterministic, a few passes over the weights.

        Returns:
            `pde_time` t, and `spread` $\sigma$ of the first group. `anchor_distance` $\|x - y\|$
            at present, or between cycles the length of the base's last step. `noise_ratio`,
            $\|\sigma\xi\|$ over the length of one step of lr times the gradients at hand, nan if
            there is none. `inner_index`, `outer_index`.
        """
        first = self.param_groups[0]
        moved = slope = noise = 0.0
        for group, bucket in self._whole():
            for p, x in zip(bucket.params, bucket.anchors, strict=True):
                moved += whole(torch.linalg.vector_norm(p.detach() - x)).item() ** 2
                noise += group["spread"] ** 2 * p.numel()
                if p.grad is not None:
                    steep = whole(torch.linalg.vector_norm(p.grad)).item()
                    slope += (float(group["lr"]) * steep) ** 2
        return {
            "inner_index": first["inner_index"],
            "outer_index": first["outer_index"],
            "pde_time": time_of(first),
            "spread": float(first["spread"]),
            "anchor_distance": sqrt(moved) if moved < inf else nan,
            "noise_ratio": sqrt(noise / slope) if slope > 0 else nan,
        }

    def _check_group(self, group: dict[str, Any]) -> None:
        check_group(group)

    @torch.no_grad()
    def _consume(self) -> None:
        """Take in the gradients at hand, and go to the next probe or to the next anchor."""
        first = self.param_groups[0]
        fresh = first["inner_index"] == 0 and not any(g["displaced"] for g in self.param_groups)
        if first["inner_index"] == 0:
            for group, bucket in self._whole():
                _probe.begin(bucket, displaced=group["displaced"])
        listed: Listed = []
        for i, group in enumerate(self.param_groups):
            for bucket in self._rosters.stepped(i, group, self.state):
                grads: list[Any] = [p.grad for p in bucket.params]
                listed.append((group, bucket, _probe.accumulate(bucket, grads, group)))
        self._rosters.settle(self.state)
        for group in self.param_groups:
            group["inner_index"] += 1
        cold = fresh and any(g["spread"] > 0 and g["lr"] > 0 for g in self.param_groups)
        # At lr 0 nothing moves; a distributed checkpoint then wants all of the base's state.
        still = fresh and all(group["lr"] == 0 for group in self.param_groups)
        if cold or still or first["inner_index"] >= first["inner_steps"]:
            self._base_step(listed)
        else:
            self._displace(listed)
        self._scatter()

    def _displace(self, listed: Listed) -> None:
        """Go to the next probe along the slope p."""
        moving = [entry for entry in listed if time_of(entry[0]) != 0 and entry[0]["lr"] > 0]
        totals = {
            kind: _probe.norm(
                [(b, ps) for g, b, ps in moving if g["normalize"] == kind],
                adaptive=kind == "adaptive",
            )
            for kind in {group["normalize"] for group, _, _ in moving} - {None}
        }
        for group, bucket, slopes in listed:
            length = time_of(group) if group["lr"] > 0 else 0.0
            if length != 0 and group["normalize"] is not None:
                length *= _probe.scale_of(totals[group["normalize"]])
            if group["spread"] == 0:
                adaptive, moved = group["normalize"] == "adaptive", group["displaced"]
                _probe.displace(bucket, slopes, length, adaptive=adaptive, moved=moved)
        for group in self.param_groups:
            group["displaced"] = True

    def _scatter(self) -> None:
        """Perturb the weights, where they are to be perturbed."""
        for i, group in enumerate(self.param_groups):
            if group["spread"] == 0 or group["lr"] == 0:
                continue
            number = group["inner_index"]
            if number == 0:
                for bucket in self._rosters.whole(i, group, self.state):
                    _probe.anchor(bucket)
            for bucket in self._rosters.trained(i, group, self.state):
                if group["antithetic"] and number % 2 == 1:
                    _probe.reflect(bucket)
                    continue
                pair = number // 2 if group["antithetic"] else number
                _probe.spread(bucket, draw(bucket, group, i, group["spread"], pair))
            group["displaced"] = True

    def _base_step(self, listed: Listed) -> None:
        """One step of the base optimizer from x along p; gradients stay as they are."""
        self._return()
        for group in self.param_groups:
            group["outer_index"] += 1
        if self._base is None:
            for group, bucket, slopes in listed:
                if bucket.low:
                    slopes = [s.to(p.dtype) for s, p in zip(slopes, bucket.params, strict=True)]
                sgd_step(bucket, slopes, group, self.state)
            return
        kept = [(p, p.grad) for _, bucket, _ in listed for p in bucket.params]
        for _, bucket, slopes in listed:
            pairs = zip(bucket.params, slopes, strict=True)
            set_gradients((p, s.to(p.dtype)) for p, s in pairs)
        # Torch's optimizers make their state when they find a parameter's empty.
        own = {p: self.state.pop(p) for p, _ in kept if self.state[p].keys() <= set(SLOTS)}
        try:
            self._base.step()
        finally:  # a base that fails takes neither our state nor the gradients with it
            for p, slots in own.items():
                self.state[p].update(slots)
            set_gradients(kept)

    def _return(self) -> None:
        """Put the anchor into the model and begin a new cycle there."""
        for group, bucket in self._whole():
            if group["displaced"]:
                _probe.restore(bucket)
        for group in self.param_groups:
            group |= {"inner_index": 0, "displaced": False}

    def _exchange(self, *, to_anchor: bool) -> None:
        """Swap probe and anchor; between cycles without noise they are the same."""
        for group, bucket in self._whole():
            if group["displaced"]:
                exchange(bucket, to_anchor=to_anchor)

    def _whole(self) -> Iterator[tuple[dict[str, Any], Bucket]]:
        """All parameters that have an anchor, with their groups."""
        for i, group in enumerate(self.param_groups):
            for bucket in self._rosters.whole(i, group, self.state):
                yield group, bucket


def time_of(group: dict[str, Any]) -> float:
    """The time t of a group, with the sign that `maximize` gives it."""
    time = group["lr"] if group["pde_time"] is None else group["pde_time"]
    return -float(time) if group.get("maximize") else float(time)
