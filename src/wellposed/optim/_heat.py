"""Heat smoothing: descend on the mean of the loss around the weights."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._picard import Picard


class Heat(Picard):
    r"""Minimize the loss smoothed by the heat equation, $v(x, t) = E\,f(x + \sqrt{t}\,\xi)$.

    $$v_t = \tfrac12 \Delta v, \quad v(\cdot, 0) = f, \qquad
    \nabla v(x, t) \approx \frac1K \sum_{k=1}^{K} \nabla f(x + \sigma\xi_k), \qquad
    \sigma = \sqrt{t}$$

    An unbiased estimate, each probe with a fresh minibatch. In pairs $\pm\xi$ all errors of odd
    order cancel: on a quadratic the estimate is exact with K = 2. Let `spread` fall to 0 by a
    `GroupScheduler` for a homotopy from the smoothed loss to the loss itself.

    Cost: one gradient evaluation per step, K per update of the weights. Memory: the base's, and
    three copies of the weights for anchor, mean and noise.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base, at least 0.
        momentum: Of the built-in SGD, at least 0.
        weight_decay: Of the built-in SGD, at least 0.
        spread: $\sigma = \sqrt{t} \ge 0$, standard deviation of the probes in every weight.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: K >= 1, gradients per update; even if antithetic.
        antithetic: Whether noise comes in pairs $\pm\xi$.
        noise_seed: With the counters it determines all noise.
        same_batch: As for `Picard`.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932,
        where one smoothed step follows a chain; independent pairs around x are exact.
    """

    citation: ClassVar[str] = Picard.citation

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        spread: float = 0.01,
        nesterov: bool = True,
        inner_steps: int = 2,
        antithetic: bool = True,
        noise_seed: int = 0,
        same_batch: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        super().__init__(
            params,
            base,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            inner_steps=inner_steps,
            spread=spread,
            antithetic=antithetic,
            mean="uniform",
            noise_seed=noise_seed,
            same_batch=same_batch,
        )
