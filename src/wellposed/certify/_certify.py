"""Certificates: which examples keep their label for every input of a ball around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from wellposed.certify._arithmetic import EXACT, Arithmetic, arithmetic
from wellposed.certify._bounds import Bounds, enclose
from wellposed.certify._graph import Graph
from wellposed.certify._margins import margins
from wellposed.certify._region import BallLike, Limits, Region, region
from wellposed.certify._tighten import Tightening
from wellposed.certify._trace import trace
from wellposed.errors import require

METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown")
"""From the cheapest to the tightest."""

_STEPS = 20  # of the ascent on slopes
_TOGETHER = 16  # examples whose bounds are held at a time


@final
@dataclass(frozen=True, eq=False)
class Certified:
    """What is proven of each example.

    Args:
        margin: Lower bounds, over the region, of the logit of the label less the largest other
            one; float64, shape (n,).
        certified: Where the margin is positive: no input of the region is classified otherwise,
            nor tied.
        method: Which method each margin comes from.
        rows: Rows of coefficients taken back through the network; one costs at most about what
            the backward pass of one example does.
    """

    margin: Tensor
    certified: Tensor
    method: tuple[str, ...]
    rows: int


def certify(
    model: nn.Module | Graph,
    inputs: Tensor,
    labels: Tensor,
    ball: BallLike,
    *,
    bounds: Limits = (0.0, 1.0),
    method: str = "auto",
    exact: bool = False,
) -> Certified:
    r"""Lower bounds of the margin over a ball around each example, sound in floating point.

    $$ m(x) \le \min_{\|\delta\| \le \epsilon,\; x + \delta \in [\text{low}, \text{high}]}
    \; z_y(x + \delta) - \max_{j \ne y} z_j(x + \delta) $$

    The methods differ in how they bound the values inside the network:

    - `ibp`: by intervals, layer after layer;
    - `crown-ibp`: by intervals, and the margin by backward substitution to the input;
    - `crown`: all by backward substitution;
    - `alpha-crown`: and the slopes below ReLUs, where the margin is not positive, by ascent;
    - `auto`: each of them in this order, for the examples that are not yet decided.

    Args:
        model: Returns logits (n, classes), or one logit (n,) or (n, 1) of the second of two
            classes; it is read in eval mode. Or a network that `trace` has read.
        inputs: Examples in the model's own input space, in the type in which it runs.
        labels: Shape (n,).
        ball: With `eps` and `norm`, such as `wellposed.perturb.Linf(0.1)`.
        bounds: Least and greatest value of an input, numbers or tensors that broadcast.
        method: One of those above.
        exact: Bound the network in exact arithmetic only. Else the bound also holds for the
            program, with the errors that sums in float32 (or float64, as the inputs are) can
            make in any order; see the guide on certificates.

    Raises `ArgumentError` for a network with an operation that has no bounds here, which is
    named; for an input outside the bounds, a label that is no class, an unknown method or
    norm.

    References:
        Gowal et al., 2018, arXiv:1810.12715 (intervals); Zhang, Weng, Chen, Hsieh and Daniel,
        Efficient neural network robustness certification with general activation functions, 2018,
        arXiv:1811.00866; Xu et al., 2021, arXiv:2011.13824 (slopes).
    """
    require(
        inputs.is_floating_point(),
        f"inputs of {inputs.dtype} have no small changes: certificates are for real numbers in "
        "float32 or float64",
    )
    graph = model if isinstance(model, Graph) else trace(model, inputs.shape[1:])
    _require(graph, inputs, labels, method)
    program = EXACT if exact else arithmetic(inputs.dtype)
    where = region(inputs, ball, bounds)
    steps = METHODS if method == "auto" else (method,)
    labels = labels.detach().cpu().long()
    pieces = [
        _cascade(graph, where.select(piece), labels[piece], program, steps)
        for piece in torch.arange(len(inputs)).split(_TOGETHER)
    ]
    margin = torch.cat([piece.margin for piece in pieces]) if pieces else torch.empty(0).double()
    methods = tuple(name for piece in pieces for name in piece.method)
    return Certified(margin, margin > 0, methods, sum(piece.rows for piece in pieces))


@torch.no_grad()
def _cascade(
    graph: Graph, where: Region, labels: Tensor, program: Arithmetic, steps: Sequence[str]
) -> Certified:
    margin = torch.full((len(labels),), -torch.inf, dtype=torch.float64)
    methods = [steps[0]] * len(labels)
    undecided = torch.arange(len(labels))
    cost = 0
    bounds: Bounds | None = None
    for step in steps:
        tight = step in {"crown", "alpha-crown"}
        if bounds is None or step == "crown":
            some = where.select(undecided)
            tightening = Tightening(graph.values(some.center), everywhere=tight)
            bounds = enclose(graph, some, program, tightening)
            cost += tightening.rows
        found, rows = margins(
            bounds, labels[undecided], intervals=step == "ibp",
            steps=_STEPS if step == "alpha-crown" else 0,
        )  # fmt: skip
        cost += rows
        found = found.where(bounds.fits(), -torch.inf)
        better = found > margin[undecided]
        for place in undecided[better].tolist():
            methods[place] = step
        margin[undecided] = torch.maximum(margin[undecided], found)
        still = margin[undecided] <= 0
        undecided, bounds = undecided[still], bounds.select(still)
        if not len(undecided):
            break
    return Certified(margin, margin > 0, tuple(methods), cost)


def _require(graph: Graph, inputs: Tensor, labels: Tensor, method: str) -> None:
    known = ("auto", *METHODS)
    require(method in known, f"no method is called {method!r}; known are {', '.join(known)}")
    output = graph.operations[-1].shape
    require(
        len(output) <= 1,
        f"the network returns {output} for one example; certificates need one vector of logits",
    )
    require(
        tuple(inputs.shape[1:]) == graph.inputs,
        f"the network was traced for inputs of shape {graph.inputs}, found "
        f"{tuple(inputs.shape[1:])}; trace it again",
    )
    require(
        labels.shape == inputs.shape[:1],
        f"one label for each example is needed, found labels of shape {tuple(labels.shape)} for "
        f"{len(inputs)} examples",
    )
    require(
        inputs.dtype == graph.dtype,
        f"the network computes in {graph.dtype}, and a certificate is for what it computes: give "
        f"inputs of that type, found {inputs.dtype}",
    )
    require(
        not labels.is_floating_point(),
        f"labels are whole numbers, found {labels.dtype}; convert them by .long()",
    )
    inside = ((labels >= 0) & (labels < graph.classes)).all()
    require(inside, f"labels are classes from 0 to {graph.classes - 1}")
