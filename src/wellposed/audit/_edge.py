"""Where gradient methods become unstable on a quadratic."""

from dataclasses import dataclass
from typing import final

from wellposed.audit._descent import Descent

_KNOWN = ("sgd", "adam", "adamw", "nadam", "rmsprop", "gd", "gradientdescent", "nesterov")


@final
@dataclass(frozen=True, slots=True)
class Edge:
    r"""The largest curvature at which a method is stable on a quadratic.

    Args:
        limit: In the curvature that the method sees.
        formula: How it comes from the step size.
        method: In words.
        preconditioned: Whether the curvature is that of $P^{-1/2} H P^{-1/2}$, $P = \sqrt v$.
        exact: Whether the formula is this method's own, and not gradient descent's.
    """

    limit: float
    formula: str
    method: str
    preconditioned: bool = False
    exact: bool = True


def edge(descent: Descent) -> Edge:
    r"""The edge of stability of a method, by the roots of its recurrence on $\lambda x^2 / 2$.

    Gradient descent $2/\eta$; heavy ball $2(1+\beta)/\eta$; Nesterov $2(1+\beta)/(\eta(1+2\beta))$;
    Adam, with its preconditioner held still, $2(1+\beta_1)/((1-\beta_1)\eta)$: $38/\eta$ for
    $\beta_1 = 0.9$.

    Args:
        descent: The step that training took.

    References:
        Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability,
        2021, arXiv:2103.00065. Cohen et al., Adaptive gradient methods at the edge of stability,
        2022, arXiv:2207.14484.
    """
    lr, beta = descent.lr, descent.momentum
    exact = descent.name.lower() in _KNOWN
    if descent.betas is not None:
        first = descent.betas[0]
        ratio = 2 * (1 + first) / (1 - first)
        return Edge(ratio / lr, f"{ratio:.3g}/lr", f"Adam with beta1 {first:g}", True, exact)
    if "rmsprop" in descent.name.lower():
        return Edge(2 / lr, "2/lr", "RMSprop", True, exact)
    if descent.nesterov and beta:
        limit = 2 * (1 + beta) / (lr * (1 + 2 * beta))
        return Edge(limit, "2(1+b)/((1+2b) lr)", f"Nesterov's momentum {beta:g}", False, exact)
    if beta:
        limit = 2 * (1 + beta) / lr
        return Edge(limit, "2(1+b)/lr", f"momentum {beta:g}", False, exact)
    return Edge(2 / lr, "2/lr", "gradient descent", False, exact)
