"""What the entrants' figures are compared with: exact spectra, or far longer runs in float64."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

from curvatures.entrants import EACH, Found
from curvatures.networks import Case
from wellposed.linalg import curvature, lanczos, spectrum


@dataclass
class Truth:
    """The reference.

    Args:
        eigenvalues: The five largest, descending.
        trace: Of the Hessian.
        error: Of the trace; 0 where it is exact.
        nodes: Eigenvalues, ascending.
        shares: Of the nodes.
        source: Where it comes from.
    """

    eigenvalues: Any
    trace: float
    error: float
    nodes: Any
    shares: Any
    source: str


def truth(case: Case) -> Truth:
    """The exact spectrum of a small network.

    Of others five eigenvalues by ARPACK in float64 from two plain backward passes, and a long run
    of ours for trace and density.
    """
    product, n = _plain(case), case.weights
    if n <= 6000:
        matrix = np.stack([product(row) for row in np.eye(n)])
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        shares = np.full(n, 1 / n)
        return Truth(values[::-1][:5], values.sum(), 0.0, values, shares, "dense, float64")
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    top = eigsh(operator, k=5, which="LA", tol=1e-9, return_eigenvectors=False)
    batches = zip(case.inputs.split(16), case.targets.split(16), strict=True)
    long = curvature(case.model, EACH, batches, seed=99)
    ritz = lanczos(long, long.probe, steps=60)
    whole = curvature(case.model, EACH, [(case.inputs, case.targets)], seed=98)
    found = spectrum(whole, ritz, probes=5, depth=160, extra=120, parts=long.parts, seed=99)
    source = "eigenvalues ARPACK in float64, the rest 60 + 5 x 160 + 120 products of ours"
    shares, traced = found.counts / n, found.trace
    return Truth(np.sort(top)[::-1], traced.value, traced.error, found.nodes, shares, source)


def errors(found: Found, true: Truth) -> dict[str, float]:
    """Of a result, by task: worst relative error, relative error, distance of the densities.

    Of a trace the standard error where it is known: a single deviation says little of an estimator.

    The distance is Wasserstein's, in units of the mean eigenvalue.
    """
    result = {}
    if len(found.eigenvalues):
        apart = np.abs(np.asarray(found.eigenvalues) / true.eigenvalues - 1)
        result["top-5"] = float(apart.max())
    if found.trace == found.trace:
        known = found.error == found.error
        result["trace"] = found.error / true.trace if known else abs(found.trace / true.trace - 1)
    if len(found.nodes):
        mean = abs(float(true.nodes @ true.shares))
        result["density"] = _distance(found, true) / mean
    return result


def _distance(found: Found, true: Truth) -> float:
    x = np.sort(np.concatenate([found.nodes, true.nodes]))

    def below(nodes: Any, shares: Any) -> Any:
        order = np.argsort(nodes)
        sums = np.concatenate([[0.0], np.cumsum(np.asarray(shares, np.float64)[order])])
        return sums[np.searchsorted(np.asarray(nodes)[order], x, side="right")] / sums[-1]

    gap = np.abs(below(found.nodes, found.shares) - below(true.nodes, true.shares))
    return float(gap[:-1] @ np.diff(x))


def _plain(case: Case) -> Any:
    """V -> Hv in float64 by two backward passes, without our library."""
    model = copy.deepcopy(case.model).double()
    params = list(model.parameters())
    loss = nn.functional.cross_entropy(model(case.inputs.double()), case.targets)
    flat = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, params, create_graph=True)])

    def product(v: Any) -> Any:
        vector = torch.from_numpy(np.asarray(v, dtype=np.float64).reshape(-1))
        found = torch.autograd.grad(flat, params, vector, retain_graph=True)
        return torch.cat([f.reshape(-1) for f in found]).numpy()

    return product
