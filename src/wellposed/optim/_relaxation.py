"""One two-level iteration that is Entropy-SGD, Lookahead, SlowMo and their kin."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._base import evaluate
from wellposed.optim._buckets import BUFFER, Bucket
from wellposed.optim._consensus import consensus, spread
from wellposed.optim._coupling import Coupling
from wellposed.optim._cycle import begin, depart, exchange, land, noise_for, relax, travel, turn
from wellposed.optim._group_check import check_group
from wellposed.optim._inner import pulled, sgd_step
from wellposed.optim._regime import regime, strength
from wellposed.optim._replicas import Replicas
from wellposed.optim._scaled import skips
from wellposed.optim._two_level import TwoLevel, set_gradients


class Relaxation(TwoLevel):
    r"""Descend from an anchor for L steps of a base optimizer, then move the anchor; repeat.

    With the anchor x, inner points y, their mean $\mu$, inner step size h and a fresh minibatch
    gradient g for each inner step:

    $$y_0 = \mu_0 = x$$
    $$y_i = \frac{\text{Inner}(y_{i-1}, g_i) + \sqrt{2hT/(1-m)}\,\xi_i + s x}{1 + s}, \quad
    s = \frac{h\gamma}{1-m}, \qquad \mu_i = (1-a)\,\mu_{i-1} + a\,y_i, \qquad i = 1, \dots, L$$
    $$x \leftarrow x - \eta\,(x - \mu_L)$$

    Each `step()` consumes one gradient, whichever its place in the cycle, so every training loop
    that knows `torch.optim.SGD` can use it unchanged. While training, the model holds y; `eval()`
    or `at_anchor()` put x there. `EntropySGD` and `Lookahead` are this class with other defaults.

    Cost: one gradient evaluation per step, besides 3 reads or writes of every weight for the pull,
    3 for the mean, and 3 to 9 per cycle. Memory: the base optimizer's, one copy of the weights for
    the anchor, one for the mean if there is one, one for outer momentum, one for noise; float32
    where the weights have fewer bits.

    Args:
        params: Parameters or parameter groups. Any argument below but `base` and `inner_steps`
            may differ between groups and be scheduled (`GroupScheduler`). Groups with a key
            `replica`, a number, belong to that copy of one model; copies are drawn to their mean.
        base: The inner optimizer: (params, lr=...) -> Optimizer, such as `torch.optim.AdamW` or a
            `functools.partial` of it; None for SGD with the seven arguments after `lr`.
        lr: Inner step size h >= 0, the number that schedulers of torch act on.
        momentum: m >= 0 of the inner SGD.
        dampening: As for `torch.optim.SGD`.
        weight_decay: At least 0, in the inner steps.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        inner_steps: L >= 1, gradients per cycle.
        gamma: Pull $\gamma \ge 0$ to the anchor, the inverse of the PDE time t.
        kappa: Instead of gamma, $\kappa = \gamma h L / (1 - m)$: by how much the pull has acted
            within a cycle, below 1 hardly, above 1 decisively. It carries over between lr, L and m.
        gamma_growth: $\gamma$ is multiplied by 1 + this at each outer step (scoping).
        gamma_max: Limit to that growth, or None.
        integrator: "semi-implicit", stable for every gamma, or "explicit" (pull added to the
            gradient; one more copy of the weights during a step).
        temperature: $T \ge 0$ of the injected noise, in units of the mean minibatch loss.
        noise_seed: With the counters it determines all noise.
        mean: Weight a of the newest point in (0, 1], "uniform" for 1/i, or None for the last point.
        reverse: $r = s/t$ in [0, 1), the time s of a sup-convolution after the inf-convolution; see
            `LasryLions`. With 0 there is none.
        block: Gradients per step of that sup-convolution, a divisor of `inner_steps`.
        outer_lr: $\eta > 0$, dimensionless: 1 goes all the way to the mean.
        outer_momentum: Momentum of the outer step, in [0, 1).
        outer_nesterov: Whether in Nesterov's form; else as SlowMo's, in units of lr.
        reset_momentum: Whether each cycle starts at rest; for the built-in SGD only.
        rho: Pull $\rho \ge 0$ of $\mu_L$ to its mean over replicas, by the fraction
            $\rho / (1 + \rho)$ at the end of each cycle; inf for the mean itself.
        rho_growth: $\rho$ is multiplied by 1 + this at each outer step.
        rho_max: Limit to that growth, or None.
        coupling: `Replicas` in other processes, or None.

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
        inner_steps: int = 20,
        gamma: float = 0.0,
        kappa: float | None = None,
        gamma_growth: float = 0.0,
        gamma_max: float | None = None,
        integrator: str = "semi-implicit",
        temperature: float = 0.0,
        noise_seed: int = 0,
        mean: float | str | None = None,
        reverse: float = 0.0,
        block: int = 1,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        outer_nesterov: bool = True,
        reset_momentum: bool = False,
        rho: float = 0.0,
        rho_growth: float = 0.0,
        rho_max: float | None = None,
        coupling: Replicas | None = None,
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
            "gamma": gamma,
            "kappa": kappa,
            "gamma_growth": gamma_growth,
            "gamma_max": gamma_max,
            "integrator": integrator,
            "temperature": temperature,
            "noise_seed": noise_seed,
            "mean": mean,
            "reverse": reverse,
            "block": block,
            "outer_lr": outer_lr,
            "outer_momentum": outer_momentum,
            "outer_nesterov": outer_nesterov,
            "reset_momentum": reset_momentum,
            "rho": rho,
            "rho_growth": rho_growth,
            "rho_max": rho_max,
            "replica": 0,
            "last_lr": None,
        }
        require(
            base is None or not reset_momentum,
            "reset_momentum=True was given; it is for base=None only",
        )
        self._coupling = Coupling(coupling)
        super().__init__(params, base, lr=lr, sgd=sgd, own=own)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Consume one gradient; at the end of a cycle, move the anchor too.

        Args:
            closure: Recomputes the loss and its gradient; called exactly once.

        Returns:
            What the closure returned, or None. A step while the model holds the anchor, or with a
            sparse gradient, is refused by an `ArgumentError`.
        """
        self.check_training()
        first = self.param_groups[0]
        loss = evaluate(closure)
        with torch.no_grad():
            places = self._coupling.places(self.param_groups)
            if first["inner_index"] == 0:
                self._begin_cycle()
            if not skips(self):
                self._descend(places)
            for group in self.param_groups:
                group["inner_index"] += 1
            if first["inner_index"] >= first["inner_steps"]:
                self._end_cycle()
        return loss

    def _descend(self, places: list[tuple[int, int]]) -> None:
        """An inner step and what follows it, for the parameters that have a gradient."""
        stepped = [
            self._rosters.stepped(i, group, self.state) for i, group in enumerate(self.param_groups)
        ]
        self._inner_step(stepped)
        for place, group, buckets in zip(places, self.param_groups, stepped, strict=True):
            for bucket in buckets:
                relax(bucket, group, noise_for(bucket, group, *place))

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a gradient scaler calls each step, so that replicas count alike."""
        return self._coupling.processes is not None

    @torch.no_grad()
    def finish_cycle(self) -> None:
        """Take the outer step now, with the mean of the inner points so far; no-op between cycles.

        Call it at the end of a training whose number of steps is no multiple of `inner_steps`.
        """
        if self.param_groups[0]["inner_index"] > 0:
            with_anchor = self.param_groups[0]["at_anchor"]
            self.train()
            self._end_cycle()
            if with_anchor:
                self.eval()

    @contextmanager
    def at_consensus(self) -> Iterator[None]:
        r"""Within the context every replica's model holds $\bar x$, the mean of the anchors.

        Afterwards it holds what it held before, bit for bit. All processes of `Replicas` enter,
        in step, whoever of them evaluates.
        """
        with self.at_anchor(), consensus(self.param_groups, self._coupling):
            yield

    def disagreement(self) -> float:
        r"""$\sqrt{\sum_a \|x_a - \bar x\|^2 / n}$; all processes of `Replicas` call it, in step."""
        with self.at_anchor():
            return spread(self.param_groups, self._coupling)

    def diagnostics(self) -> dict[str, float]:
        r"""In which regime the iteration runs; deterministic, a few passes over the weights.

        Returns:
            `gamma`, `pde_time` ($1/\gamma$, inf without a pull) and `kappa` at present, of the
            first group. `anchor_distance` $\|x - \mu\|$ so far in this cycle, or over the cycle
            just completed. `cosine` between $x - \mu$ and the gradients at hand, nan if there is
            none: near 1 the anchor moves as SGD would. `noise_ratio`, the norm of one step's
            injected noise over that of lr times the gradient. `inner_index`, `outer_index`.
        """
        first = self.param_groups[0]
        listed = (
            (g, b)
            for i, g in enumerate(self.param_groups)
            for b in self._rosters.whole(i, g, self.state)
        )
        counters = {"inner_index": first["inner_index"], "outer_index": first["outer_index"]}
        return counters | strength(first) | regime(listed)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it enters the present cycle, anchored where its parameters first move."""
        kappa = None if "gamma" in param_group else self.defaults["kappa"]
        param_group.setdefault("kappa", kappa)
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_coupling": self._coupling}

    def _check_group(self, group: dict[str, Any]) -> None:
        kappa = group.pop("kappa")
        if kappa is not None:
            require(
                kappa >= 0 and group["lr"] > 0,
                f"kappa={kappa:g} was given with lr={float(group['lr']):g}; kappa is at least 0, "
                "and gamma follows from it only for a positive lr",
            )
            group["gamma"] = kappa / (travel(group) * group["inner_steps"])
        check_group(group)

    def _begin_cycle(self) -> None:
        """Anchor where the weights are."""
        for i, group in enumerate(self.param_groups):
            for bucket in self._rosters.whole(i, group, self.state):
                begin(bucket)
                if group["reset_momentum"]:
                    states = [self.state[p] for p in bucket.params]
                    if warm := [s[BUFFER] for s in states if BUFFER in s]:
                        torch._foreach_zero_(warm)

    def _inner_step(self, stepped: list[list[Bucket]]) -> None:
        """One step of the base optimizer with the gradients at hand, which stay as they are."""
        kept = []
        for group, buckets in zip(self.param_groups, stepped, strict=True):
            for bucket in buckets:
                grads: list[Any] = [p.grad for p in bucket.params]
                if group["integrator"] == "explicit":
                    kept += list(zip(bucket.params, grads, strict=True))
                    grads = pulled(bucket, grads, group)
                if self._base is None:
                    sgd_step(bucket, grads, group, self.state)
                elif group["integrator"] == "explicit":
                    set_gradients(zip(bucket.params, grads, strict=True))
        if self._base is not None:
            self._base.step()
            set_gradients(kept)
        self._rosters.settle(self.state)

    def _end_cycle(self) -> None:
        """Coupling and outer step, for all parameters that have an anchor."""
        whole = [
            self._rosters.whole(i, group, self.state) for i, group in enumerate(self.param_groups)
        ]
        for group, buckets in zip(self.param_groups, whole, strict=True):
            for bucket in buckets:
                land(bucket, group)
        self._coupling.couple(self.param_groups, self.state)
        for group, buckets in zip(self.param_groups, whole, strict=True):
            for bucket in buckets:
                depart(bucket, group)
            turn(group)

    def _exchange(self, *, to_anchor: bool) -> None:
        """Swap the inner point and the anchor; between cycles they are the same."""
        for i, group in enumerate(self.param_groups):
            if group["inner_index"] != 0:
                for bucket in self._rosters.whole(i, group, self.state):
                    exchange(bucket, to_anchor=to_anchor)
