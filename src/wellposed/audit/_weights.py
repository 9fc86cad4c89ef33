"""Are the weights numbers?"""

import torch
from torch import Tensor

from wellposed.audit._check import Check
from wellposed.audit._cure import anew
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.runs import Finding, Listing, Threshold, Verdict


def weights(subject: Subject) -> Finding:
    """Count parameters and buffers that are not finite, or that no input can bring to life.

    A weight of more than one row whose entries are all 0 passes neither signal nor gradient;
    biases and the last layer of a residual branch may begin so, which is why it only warns. A
    buffer may hold inf, as a mask of attention does, unless it is a statistic of a normalization.

    Args:
        subject: The network.

    Cost: none in gradient evaluations; one pass over the weights.

    Raises `ArgumentError` if there are none.
    """
    parameters, buffers = dict(subject.model.named_parameters()), subject.model.named_buffers()
    state = {**parameters, **{n: _unmasked(n, v) for n, v in buffers}}
    floats = {n: v.detach() for n, v in state.items() if v.is_floating_point() and v.numel()}
    require(bool(floats), "the model has no weights and no statistics that could be looked at")
    wrong = {n: v.numel() - int(torch.isfinite(v).sum()) for n, v in floats.items()}
    wrong = {name: k for name, k in wrong.items() if k}
    empty = [n for n, v in floats.items() if n in parameters and v.dim() > 1 and not v.any()]
    total = sum(v.numel() for v in floats.values())
    recount = sum(bool(v.double().sum().isfinite()) for v in floats.values())
    agrees = recount == len(floats) - len(wrong)
    count = sum(wrong.values())
    listing = Listing(
        "Tensors with entries that are not finite",
        ("tensor", "entries", "not finite"),
        tuple((n, str(floats[n].numel()), str(k)) for n, k in list(wrong.items())[:20]),
    )
    if wrong:
        verdict, where = Verdict.FAIL, ", ".join(list(wrong)[:5])
        said = f"{count} of {total:,} weights and statistics are not finite, first in {where}"
        remedy = "take an earlier checkpoint, and train on with a smaller step size"
    elif empty:
        verdict, where = Verdict.WARN, ", ".join(empty[:5])
        said = f"All entries of {len(empty)} weight tensors are 0: {where}"
        remedy = f"initialize them, unless they are meant to begin at 0: {anew()}"
    else:
        verdict, where, remedy = Verdict.PASS, "", ""
        said = f"All {total:,} weights and statistics are finite, and no weight tensor is all 0"
    return Finding(
        check="weights",
        verdict=verdict,
        statement=said + ".",
        value=float(count),
        interval=(float(count), float(count)),
        unit="entries",
        threshold=Threshold(0, "above", "arithmetic", "what is not finite spreads to every output"),
        where=where,
        evidence={"tensors": len(floats), "entries": total},
        verified="each tensor's sum in float64 is finite just where its count says so"
        if agrees
        else "sums in float64 disagree with the count, as sums that overflow do",
        remedy=remedy,
        figures=(listing,) if wrong else (),
    )


def _unmasked(name: str, buffer: Tensor) -> Tensor:
    """A buffer without the inf of a mask; those of running statistics stay."""
    if not buffer.is_floating_point() or name.rpartition(".")[2].startswith("running_"):
        return buffer
    return torch.where(buffer.isinf(), torch.zeros_like(buffer), buffer)


CHECK = Check(
    weights,
    family="weights",
    question="Are the weights numbers?",
    cost=lambda _: 0,
    settings={"quick": {}, "standard": {}, "deep": {}},
    weights=False,
)
