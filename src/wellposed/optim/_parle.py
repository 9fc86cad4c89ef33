"""Parle: Entropy-SGD in replicas that are drawn together."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, final

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._presets import with_presets
from wellposed.optim._relaxation import Relaxation
from wellposed.optim._replicas import Replicas

_PAPER = {
    "lr": 0.1,
    "inner_steps": 25,
    "gamma": 0.01,
    "gamma_max": 1.0,
    "rho_max": 10.0,
    "mean": 0.25,
    "outer_lr": 0.1,
    "outer_momentum": 0.9,
    "integrator": "explicit",
}


@final
class Parle(Relaxation):
    r"""Relax n replicas of a model, and draw them to their mean once per cycle.

    $$\min_{x_1, \dots, x_n} \sum_{a=1}^n \Bigl(-F(x_a, \gamma)
    + \tfrac\rho2 \|x_a - \bar x\|^2\Bigr), \qquad \bar x = \tfrac1n \sum_b x_b$$

    Each replica makes a cycle of Entropy-SGD on its own data order or shard; then, with the mean
    $\mu_a$ of its inner points,

    $$\mu_a \leftarrow (1 - c)\,\mu_a + c\,\bar\mu, \quad c = \tfrac{\rho}{1 + \rho},
    \qquad x_a \leftarrow x_a - \eta\,(x_a - \mu_a)$$

    stable for every $\rho$ (the explicit form, $x_a \leftarrow x_a - \eta\,(x_a - \mu_a
    + \rho\,(x_a - \bar x))$, is not: $\eta\rho$ has to stay below about 2, and below 1.36 with
    outer momentum 0.9). Coupling does not move the mean of the replicas, x or $\mu$. Where they
    have unequal losses, strong coupling makes them meet at the minimum of the sum of their Moreau
    envelopes, not of their losses: a bias that vanishes as $\gamma \to \infty$. With one replica
    it is `EntropySGD`. Evaluate the mean: `with optimizer.at_consensus(): ...`.

    In several processes, give `coupling=Replicas()`; in one, one group per replica with its number:

        models = [copy.deepcopy(model) for _ in range(3)]
        groups = [{"params": m.parameters(), "replica": a} for a, m in enumerate(models)]
        optimizer = Parle(groups)  # one step per gradient of the sum of the models' losses

    Cost: one gradient per replica and step; one all-reduce per `inner_steps` steps. Memory: per
    replica that of `EntropySGD`, and one copy of the weights per process for the mean.

    Args:
        params: Parameters or parameter groups.
        lr: Inner step size h >= 0; schedule it as you would SGD's.
        momentum: m >= 0 of the inner SGD.
        weight_decay: At least 0, in the inner steps.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: L >= 1, gradients per step of the anchor and per coupling.
        gamma: Pull to the anchor, $\gamma \ge 0$, at the start.
        kappa: Instead of gamma, $\kappa = \gamma h L / (1 - m)$; see `Relaxation`.
        gamma_growth: $\gamma$ is multiplied by 1 + this at each outer step.
        gamma_max: Limit to that growth, or None.
        rho: Pull to the mean of the replicas, $\rho \ge 0$, at the start; inf for the mean itself.
        rho_growth: $\rho$ is multiplied by 1 + this at each outer step.
        rho_max: Limit to that growth, or None.
        coupling: `Replicas` in other processes, or None.
        temperature: $T \ge 0$ of the injected noise, different in each replica.
        mean: Weight of the newest point in the running mean, in (0, 1]; "uniform"; or None.
        outer_lr: $\eta > 0$, the fraction of the way to the mean.
        outer_momentum: Nesterov momentum of the outer step, in [0, 1).
        reset_momentum: Whether each cycle starts at rest.
        integrator: "semi-implicit" or "explicit", for both pulls.
        noise_seed: With the counters and the number of the replica it determines all noise.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another inner optimizer, (params, lr=...) -> Optimizer, instead of SGD.
        preset: "paper-mnist" or "paper-cifar": the settings of the authors' programs at batch 128,
            with $\rho = 0.01 L n$ for their n = 6 and n = 3. They divide both step sizes by 10
            after each of 5 epochs on MNIST: schedule `lr` and `outer_lr`.

    Raises:
        ArgumentError: If a value is out of range, or replicas are no copies of one model.
        UnknownNameError: If there is no such preset.

    References:
        Chaudhari, Baldassi, Zecchina, Soatto, Talwalkar and Oberman, Parle: parallelizing
        stochastic gradient descent, 2018, arXiv:1707.00424; the semi-implicit pulls are ours.
        The authors' program pulls to the mean of the $\mu_a$, which makes the mean of all replicas
        move $1 + \rho$ times as far.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "paper-mnist": {
                **_PAPER,
                "rho": 0.01 * 25 * 6,
                "gamma_growth": 0.5 / 469,
                "rho_growth": 0.5 / 469,
            },
            "paper-cifar": {
                **_PAPER,
                "rho": 0.01 * 25 * 3,
                "gamma_growth": 0.5 / 391,
                "rho_growth": 0.5 / 391,
            },
        }
    )
    citation: ClassVar[str] = """\
@inproceedings{chaudhari2018parle,
  author    = {Chaudhari, Pratik and Baldassi, Carlo and Zecchina, Riccardo and Soatto, Stefano and
               Talwalkar, Ameet and Oberman, Adam},
  title     = {Parle: Parallelizing Stochastic Gradient Descent},
  booktitle = {SysML Conference},
  year      = {2018},
  note      = {arXiv:1707.00424}
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
        inner_steps: int = 25,
        gamma: float = 1e-4,
        kappa: float | None = None,
        gamma_growth: float = 1e-3,
        gamma_max: float | None = None,
        rho: float = 0.5,
        rho_growth: float = 1e-3,
        rho_max: float | None = None,
        coupling: Replicas | None = None,
        temperature: float = 0.0,
        mean: float | str | None = 0.25,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        reset_momentum: bool = False,
        integrator: str = "semi-implicit",
        noise_seed: int = 0,
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
            weight_decay=weight_decay,
            nesterov=nesterov,
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
            rho=rho,
            rho_growth=rho_growth,
            rho_max=rho_max,
            coupling=coupling,
        )
