"""Variable projection: the linear output layer is eliminated."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import ParamsT

from wellposed.errors import ArgumentError, require
from wellposed.linalg import flatten, jacobian
from wellposed.optim._answers import ask, backward_explained, scalar
from wellposed.optim._features import ENTROPY, SQUARED, features_and_targets
from wellposed.optim._least_squares import least_squares
from wellposed.optim._output_fit import OutputFit
from wellposed.optim._softmax_regression import softmax_regression
from wellposed.optim._truncated_newton import Quadratic, TruncatedNewton

_UNKNOWNS = 4096  # 130 MB for the matrix


class VarPro(TruncatedNewton):
    r"""Gauss-Newton in the hidden weights, the linear output layer being the best one throughout.

    $$\min_\theta\; \Bigl[\min_W \tfrac1N \sum_i \ell(W \phi(x_i; \theta), y_i)
      + \tfrac\lambda2 \|W\|^2\Bigr] + \tfrac\mu2 \|\theta\|^2$$

    Where W is the best layer the objective does not depend on it to first order, so the gradient of
    the reduced objective is $\partial/\partial\theta$ with W held fixed; the error of this is
    proportional to the gradient in W that the inner solution leaves. The squared error is solved
    exactly (QR), the cross-entropy to `tolerance` by Newton's method, both in float64. The matrix
    is Gauss-Newton's with W following, the Schur complement
    $J^\top (H - H \Phi K^{-1} \Phi^\top H) J$, $K = \Phi^\top H \Phi + \lambda I$.

    `step(closure)` wants a closure that **returns (features, targets)** of the sample: what the
    output layer gets as input, shape (N, features), with its graph, and class numbers or, for the
    squared error, values. It computes no loss. The weights of the output layer are set by the
    optimizer; they need no gradient. The rest is as for `GaussNewton`.

    Cost: as `GaussNewton`, and for each evaluation of the loss a factorization: $N f^2$
    operations for f features, for the cross-entropy with C classes $N (fC)^2 + (fC)^3/3$ per inner
    Newton step, `effort.solves`. It pays where evaluating the network is what costs.

    Args:
        params: All weights of the model, or the hidden ones; those of `output` are left out.
        output: The output layer, an `nn.Linear` of the type and device of the other weights. Its
            bias, if any, is a part of W.
        loss: "squared error", $\tfrac12 \|f - y\|^2$, or "cross-entropy"; the mean is taken.
        lr: Longest step length $\alpha \ge 0$.
        tikhonov: $\lambda$, at least 0, and above 0 for the cross-entropy.
        weight_decay: $\mu \ge 0$.
        tolerance: Norm of the gradient in W that is left, above 0; for the cross-entropy.
        iterations: Steps per `step(closure)`, at least 1.
        max_products: Limit of products per step, at least 1.
        forcing: Exponent $q > 0$ of the forcing term.
        radius: Trust radius in the units of the weights, above 0; None for none.
        max_trials: Limit of losses per line search, at least 1.

    Raises:
        ArgumentError: If a value is out of range, or the layer is no linear one or too large.

    References:
        Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares
        problems whose variables separate, 1973; Newman, Ruthotto, Hart and van Bloemen Waanders,
        Train like a (Var)Pro, 2021, arXiv:2007.13171.
    """

    form = "returns (features, targets) of the sample, the features with their graph"
    by_hand = (
        "its closure returns (features, targets) and it sets the output layer itself; in a "
        "program: VarPro(model.parameters(), model.output), optimizer.step(lambda: (hidden(x), y))"
    )
    citation: ClassVar[str] = """\
@article{golub1973differentiation,
  author  = {Golub, Gene H. and Pereyra, Victor},
  title   = {The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems Whose
             Variables Separate},
  journal = {SIAM Journal on Numerical Analysis},
  volume  = {10},
  number  = {2},
  pages   = {413--432},
  year    = {1973}
}

@article{newman2021train,
  author  = {Newman, Elizabeth and Ruthotto, Lars and Hart, Joseph and van Bloemen Waanders, Bart},
  title   = {Train Like a ({Var}){Pro}: Efficient Training of Neural Networks with Variable
             Projection},
  journal = {SIAM Journal on Mathematics of Data Science},
  volume  = {3},
  number  = {4},
  pages   = {1041--1066},
  year    = {2021},
  note    = {arXiv:2007.13171}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        output: nn.Linear,
        loss: str = ENTROPY,
        *,
        lr: float = 1.0,
        tikhonov: float = 1e-4,
        weight_decay: float = 0.0,
        tolerance: float = 1e-8,
        iterations: int = 1,
        max_products: int = 50,
        forcing: float = 0.5,
        radius: float | None = None,
        max_trials: int = 20,
    ) -> None:
        require(
            isinstance(output, nn.Linear),
            f"VarPro got an output layer of type {type(output).__name__}; it is an nn.Linear",
        )
        require(
            loss in {SQUARED, ENTROPY},
            f"VarPro got loss={loss!r}; it is {SQUARED!r} or {ENTROPY!r}",
        )
        require(
            tikhonov > 0 or (tikhonov == 0 and loss == SQUARED),
            f"VarPro got tikhonov={tikhonov:g}; it is at least 0, and above 0 for the "
            "cross-entropy, which has no best layer for separable data; try 1e-4",
        )
        require(weight_decay >= 0, f"VarPro got weight_decay={weight_decay:g}; it is at least 0")
        require(tolerance > 0, f"VarPro got tolerance={tolerance:g}; it is above 0, try 1e-8")
        unknowns = sum(w.numel() for w in output.parameters())
        require(
            loss == SQUARED or unknowns <= _UNKNOWNS,
            f"VarPro got an output layer of {unknowns} weights; it factorizes a matrix with a row "
            f"for each, for the cross-entropy up to {_UNKNOWNS}; try loss={SQUARED!r}, or "
            "GaussNewton",
        )
        self.output = output
        super().__init__(
            _without(params, output),
            lr=lr,
            iterations=iterations,
            max_products=max_products,
            forcing=forcing,
            radius=radius,
            max_trials=max_trials,
            loss=loss,
            tikhonov=tikhonov,
            weight_decay=weight_decay,
            tolerance=tolerance,
        )
        self._check_kinds([*self.param_groups[0]["params"], *output.parameters()])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "output": self.output}

    def _others(self) -> list[Tensor]:
        return list(self.output.parameters())

    def _quadratic(self, closure: Callable[[], Any] | None, weights: list[Tensor]) -> Quadratic:
        features, targets = self._asked(ask(closure, "VarPro", self.form))
        require(
            features.requires_grad,
            "the closure of VarPro returned features without a graph; they are computed from the "
            "hidden weights, with gradients enabled and without detach()",
        )
        if not bool(features.isfinite().all()):
            scalar(features.new_tensor(torch.nan), "VarPro")
        fit, design = self._fit(features.detach(), targets)
        layer, decay = self.output, self.param_groups[0]["weight_decay"]
        outputs = functional.linear(features, layer.weight.detach(), _detached(layer.bias))
        with backward_explained("VarPro"):
            inner = jacobian(outputs, weights)
        vector = flatten([w.detach() for w in weights], weights)
        gradient = inner.adjoint(fit.slope.to(outputs)) + decay * vector
        self._count(products=1)  # the graph of J'u, made once

        def product(v: Tensor) -> Tensor:
            curved = fit.reduced(design, inner.forward(v).double())
            found: Tensor = inner.adjoint(curved.to(outputs)) + decay * v
            return found

        return Quadratic(self._objective(fit, weights).to(features), gradient, product)

    def _loss(self, answer: Any) -> float:
        features, targets = self._asked(answer)
        if not bool(features.isfinite().all()):
            return float("nan")
        try:
            fit, _ = self._fit(features.detach(), targets)
        except ArgumentError:  # no best layer there: not a point to go to
            return float("inf")
        return float(self._objective(fit, self._weights()).to(features))

    def _asked(self, answer: Any) -> tuple[Tensor, Tensor]:
        """Features and targets, checked."""
        return features_and_targets(answer, self.output, self.param_groups[0]["loss"])

    def _objective(self, fit: OutputFit, weights: list[Tensor]) -> Tensor:
        """The reduced objective, shape ()."""
        vector = flatten([w.detach() for w in weights], weights).double()
        decay = float(self.param_groups[0]["weight_decay"])
        return fit.loss + decay / 2 * vector.square().sum()

    def _fit(self, features: Tensor, targets: Tensor) -> tuple[OutputFit, Tensor]:
        """The best output layer, which is then in place, and the features it was solved with."""
        group, layer = self.param_groups[0], self.output
        design, w = features.double(), layer.weight.detach().T.double()
        if layer.bias is not None:
            design = torch.cat([design, torch.ones_like(design[:, :1])], 1)
            w = torch.cat([w, layer.bias.detach().double().unsqueeze(0)])
        if group["loss"] == SQUARED:
            fit = least_squares(design, targets.double(), group["tikhonov"])
        else:
            fit = softmax_regression(
                design, targets, group["tikhonov"], w, tolerance=group["tolerance"]
            )
        self._count(solves=fit.solves)
        with torch.no_grad():
            layer.weight.copy_(fit.coefficients[: layer.in_features].T)
            if layer.bias is not None:
                layer.bias.copy_(fit.coefficients[-1])
        return fit, design


def _without(params: ParamsT, output: nn.Linear) -> list[Any]:
    """The parameters, or the group of them, without those of the output layer."""
    own = {id(w) for w in output.parameters()}

    def kept(items: Any) -> list[Any]:
        return [i for i in items if id(i[1] if isinstance(i, tuple) else i) not in own]

    return [
        {**item, "params": kept(item["params"])} if isinstance(item, dict) else item
        for item in kept(params)
    ]


def _detached(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()
