"""Entropy-SGD: descend on the local entropy of the loss."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._presets import with_presets
from wellposed.optim._relaxation import Relaxation


class EntropySGD(Relaxation):
    r"""Minimize the local entropy of the loss, which is high where many good weights are near.

    $$F(x, \gamma) = \log \int \exp\Bigl(-f(y) - \tfrac\gamma2 \|x - y\|^2\Bigr)\,dy,
    \qquad -\nabla F = \gamma\,(x - \langle y \rangle)$$

    The mean is estimated by `inner_steps` steps of pulled, possibly noisy, SGD from the anchor x,
    each with a fresh minibatch; then x moves to it. $-F$ with $\gamma = 1/t$ solves the viscous
    Hamilton-Jacobi equation with initial data f at time t. The defaults are measured at equal
    numbers of gradients with a scheduled `lr` (docs/guide/entropy-sgd.md); at $\kappa \ll 1$, as
    with these, the method is SGD with restarted averaging, and `diagnostics()` says so.

    Cost and memory: as for `Relaxation`: one gradient per step; momentum, anchor and mean, three
    copies of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Inner step size h >= 0; schedule it as you would SGD's.
        momentum: m >= 0 of the inner SGD.
        weight_decay: At least 0, in the inner steps.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        dampening: As for `torch.optim.SGD`.
        inner_steps: L >= 1, gradients per step of the anchor.
        gamma: Pull to the anchor, $\gamma \ge 0$, at the start.
        kappa: Instead of gamma, $\kappa = \gamma h L / (1 - m)$; see `Relaxation`.
        gamma_growth: $\gamma$ is multiplied by 1 + this at each outer step.
        gamma_max: Limit to that growth, or None.
        temperature: $T \ge 0$ of the injected Gaussian noise; minibatch noise comes on top.
        mean: Weight of the newest point in the running mean, in (0, 1]; "uniform"; or None.
        outer_lr: $\eta > 0$, the fraction of the way to the mean.
        outer_momentum: Nesterov momentum of the outer step, in [0, 1).
        reset_momentum: Whether each cycle starts at rest.
        integrator: "semi-implicit" or "explicit".
        noise_seed: With the counters it determines all noise.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another inner optimizer, (params, lr=...) -> Optimizer, instead of SGD.
        preset: "paper-mnist" or "paper-cifar": the published settings, with $\epsilon^2 (1-m)/2$
            for the temperature. The published anchor step decays: schedule `outer_lr` by
            `Milestones(at=(0.4,), factor=0.1)` on MNIST, `Milestones(at=(0.4, 0.8), factor=0.2)`
            on CIFAR-10, with lr constant.

    Raises:
        ArgumentError: If a value is out of range.
        UnknownNameError: If there is no such preset.

    References:
        Chaudhari et al., Entropy-SGD: biasing gradient descent into wide valleys, 2017,
        arXiv:1611.01838; the semi-implicit pull, kappa and these defaults are ours.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "paper-mnist": {
                "lr": 0.1,
                "gamma": 1e-4,
                "gamma_growth": 1e-3,
                "temperature": 1e-3**2 * (1 - 0.9) / 2,
                "reset_momentum": True,
            },
            "paper-cifar": {
                "lr": 0.1,
                "gamma": 0.03,
                "gamma_growth": 1e-3,
                "temperature": 1e-4**2 * (1 - 0.9) / 2,
                "reset_momentum": True,
            },
        }
    )
    citation: ClassVar[str] = """\
@inproceedings{chaudhari2017entropy,
  author    = {Chaudhari, Pratik and Choromanska, Anna and Soatto, Stefano and LeCun, Yann and
               Baldassi, Carlo and Borgs, Christian and Chayes, Jennifer and Sagun, Levent and
               Zecchina, Riccardo},
  title     = {Entropy-{SGD}: Biasing Gradient Descent Into Wide Valleys},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  note      = {arXiv:1611.01838}
}"""

    @with_presets
    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        dampening: float = 0.0,
        inner_steps: int = 20,
        gamma: float = 1e-4,
        kappa: float | None = None,
        gamma_growth: float = 1e-3,
        gamma_max: float | None = None,
        temperature: float = 0.0,
        mean: float | str | None = 0.25,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        reset_momentum: bool = False,
        integrator: str = "semi-implicit",
        noise_seed: int = 0,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
        preset: str | None = None,  # noqa: ARG002 - resolved by the decorator
    ) -> None:
        super().__init__(
            params,
            base,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            inner_steps=inner_steps,
            gamma=gamma,
            kappa=kappa,
            gamma_growth=gamma_growth,
            gamma_max=gamma_max,
            integrator=integrator,
            temperature=temperature,
            noise_seed=noise_seed,
            mean=mean,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
            reset_momentum=reset_momentum,
        )
