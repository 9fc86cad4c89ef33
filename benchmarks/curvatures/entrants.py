"""Ours and the peers, each as its documentation says, on one batch; eigenvalues, trace, density."""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from curvatures.networks import Case
from wellposed.linalg import Curvature, curvature, lanczos, spectrum, trace_by_examples
from wellposed.linalg import trace as estimate

MEAN, EACH = nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="none")


@dataclass
class Found:
    """What a call found.

    Args:
        products: Products with the Hessian.
        eigenvalues: The five largest, descending; empty if not asked for.
        trace: nan if not asked for.
        error: Its standard error, where the samples are known; nan otherwise.
        nodes: Of the density; empty if not asked for.
        shares: Of the nodes, with sum 1.
    """

    products: int
    eigenvalues: Any = ()
    trace: float = float("nan")
    error: float = float("nan")
    nodes: Any = ()
    shares: Any = ()


Call = Callable[[Case, int], Found]


def batches_of(case: Case) -> Iterable[tuple[Tensor, Tensor]]:
    """Four, as the audit has it; the peers are slower so, and get one."""
    size = len(case.inputs) // 4
    return zip(case.inputs.split(size), case.targets.split(size), strict=True)


def product_of(case: Case, seed: int) -> Curvature:
    return curvature(case.model, EACH, batches_of(case), seed=seed)


def ours_top(case: Case, seed: int, tolerance: float) -> Found:
    product = product_of(case, seed)
    ritz = lanczos(product, product.probe, steps=100, largest=5, tolerance=tolerance)
    return Found(ritz.products, ritz.values[::-1][:5])


def ours_trace(case: Case, seed: int, steps: int, probes: int) -> Found:
    product = product_of(case, seed)
    ritz = lanczos(product, product.probe, steps=steps) if steps else None
    found = estimate(product.parts, product.probe, beside=ritz, probes=probes, seed=seed)
    return Found(steps + probes, trace=found.value, error=found.error)


def ours_trace_by_examples(case: Case, seed: int, passes: int) -> Found:
    found = trace_by_examples(case.model, EACH, batches_of(case), passes=passes, seed=seed)
    return Found(passes, trace=found.value, error=found.error)


def ours_density(case: Case, seed: int, steps: int, depth: int) -> Found:
    product = product_of(case, seed)
    ritz = lanczos(product, product.probe, steps=steps)
    found = spectrum(product, ritz, probes=1, depth=depth, extra=0, seed=seed)
    shares = found.counts / case.weights
    return Found(steps + found.products, nodes=found.nodes, shares=shares)


def ours_all(case: Case, seed: int) -> Found:
    product = product_of(case, seed)
    ritz = lanczos(product, product.probe, steps=20)
    found = spectrum(product, ritz, depth=20, extra=8, parts=product.parts, seed=seed)
    return Found(
        ritz.products + found.products,
        ritz.values[::-1][:5],
        found.trace.value,
        found.trace.error,
        found.nodes,
        found.counts / case.weights,
    )


def peers() -> tuple[dict[str, dict[str, Call]], dict[str, str]]:
    """Calls by task and name, and versions; whoever is not installed is left out."""
    calls: dict[str, dict[str, Call]] = {"top-5": {}, "trace": {}, "density": {}}
    versions = {}
    with contextlib.suppress(ImportError):
        _curvlinops(calls)
        versions["curvlinops"] = version("curvlinops-for-pytorch")
    with contextlib.suppress(ImportError):
        _pyhessian(calls)
        versions["PyHessian"] = version("PyHessian")
    return calls, versions


def _curvlinops(calls: dict[str, dict[str, Call]]) -> None:
    from curvlinops import HessianLinearOperator, hutchpp_trace
    from curvlinops.papyan2020traces.spectrum import fast_lanczos
    from scipy.sparse.linalg import LinearOperator, eigsh

    def operator(case: Case, seed: int) -> Any:
        torch.manual_seed(seed)
        params = {n: p for n, p in case.model.named_parameters() if p.requires_grad}
        data = [(case.inputs, case.targets)]
        try:
            return HessianLinearOperator(case.model, MEAN, params, data, check_deterministic=False)
        except (TypeError, AttributeError):
            return HessianLinearOperator(
                case.model, MEAN, list(params.values()), data, check_deterministic=False
            )

    def top(case: Case, seed: int) -> Found:
        matrix, count = operator(case, seed).to_scipy(), 0

        def multiply(v: Any) -> Any:
            nonlocal count
            count += 1
            return matrix @ v

        counted = LinearOperator(matrix.shape, matvec=multiply, dtype=matrix.dtype)
        start = np.random.default_rng(seed).standard_normal(matrix.shape[0]).astype(matrix.dtype)
        values = eigsh(counted, k=5, which="LM", tol=1e-3, v0=start, return_eigenvectors=False)
        return Found(count, np.sort(values)[::-1])

    def density(case: Case, seed: int) -> Found:
        values, vectors = fast_lanczos(operator(case, seed), 100)
        return Found(100, nodes=values.numpy(), shares=(vectors[0] ** 2).numpy())

    calls["top-5"]["curvlinops, eigsh tol 1e-3"] = top
    calls["trace"]["curvlinops, Hutch++ 99"] = lambda c, s: Found(
        99, trace=float(hutchpp_trace(operator(c, s), 99))
    )
    calls["density"]["curvlinops, Lanczos 100 x 1"] = density


def _pyhessian(calls: dict[str, dict[str, Call]]) -> None:
    module: Any = import_module("pyhessian.hessian")  # the package hides it behind its class

    counter = {"products": 0}
    plain = module.hessian_vector_product

    def counted(*arguments: Any) -> Any:
        counter["products"] += 1
        return plain(*arguments)

    module.hessian_vector_product = counted

    def made(case: Case, seed: int) -> Any:
        torch.manual_seed(seed)
        counter["products"] = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return module.hessian(
                copy.deepcopy(case.model), MEAN, data=(case.inputs, case.targets), cuda=False
            )

    def top(case: Case, seed: int, limit: int = 100, tolerance: float = 1e-3) -> Found:
        values, _ = made(case, seed).eigenvalues(maxIter=limit, tol=tolerance, top_n=5)
        return Found(counter["products"], np.sort(values)[::-1])

    def trace(case: Case, seed: int, tolerance: float = 1e-3) -> Found:
        samples = made(case, seed).trace(maxIter=100, tol=tolerance)
        # its stopping rule looks at the samples, so only of a fixed number the error is known
        error = np.std(samples, ddof=1) / len(samples) ** 0.5 if tolerance == 0 else np.nan
        return Found(counter["products"], trace=float(np.mean(samples)), error=float(error))

    def density(case: Case, seed: int) -> Found:
        torch.eig = _eig  # the released version calls what torch no longer has
        with contextlib.redirect_stdout(io.StringIO()):
            values, shares = made(case, seed).density(iter=100, n_v=1)
        order = np.argsort(values[0])
        return Found(
            counter["products"], nodes=np.array(values[0])[order], shares=np.array(shares[0])[order]
        )

    calls["top-5"]["PyHessian, default (tol 1e-3)"] = top
    calls["top-5"]["PyHessian, tol 1e-5, 300 it."] = lambda c, s: top(c, s, 300, 1e-5)
    calls["trace"]["PyHessian, default (tol 1e-3)"] = trace
    calls["trace"]["PyHessian, 100 samples"] = lambda c, s: trace(c, s, 0.0)
    calls["density"]["PyHessian, default (100 x 1)"] = density


def _eig(matrix: torch.Tensor, eigenvectors: bool) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: FBT001, ARG001 - torch's signature
    values, vectors = torch.linalg.eigh(matrix)
    return torch.stack([values, torch.zeros_like(values)], 1), vectors


def _ours() -> dict[str, dict[str, Call]]:
    """Settings of ours from coarse to fine, so that some are as accurate as each of the peers."""
    tops = {f"wellposed, tol {t:g}": partial(ours_top, tolerance=t) for t in (3e-2, 3e-3, 1e-3)}
    traces = {
        f"wellposed, {steps} + {probes}": partial(ours_trace, steps=steps, probes=probes)
        for steps, probes in ((10, 14), (25, 60))
    } | {
        f"wellposed, by examples, {passes}": partial(ours_trace_by_examples, passes=passes)
        for passes in (2, 3, 4, 8, 20, 60)
    }
    densities = {
        f"wellposed, 10 + 1 x {depth}": partial(ours_density, steps=10, depth=depth)
        for depth in (18, 21, 23, 25, 30)
    }
    whole = {"wellposed, 20 + 1 x 20 + 8": ours_all}
    return {"top-5": tops, "trace": traces, "density": densities, "all": whole}


OURS: dict[str, dict[str, Call]] = _ours()
