"""Put the hidden units of one network in the order of another's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wellposed.audit._permutable import Hidden, permuted

_SWEEPS = 100
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@final
@dataclass(frozen=True, slots=True)
class Matching:
    """The order in which a network resembles another most.

    Args:
        order: For each hidden layer by name, which unit comes where.
        before: The inner product of both networks' weights, as they are.
        after: The same with the units in order; at least `before`.
    """

    order: dict[str, Tensor]
    before: float
    after: float


def match(
    hidden: tuple[Hidden, ...],
    fixed: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    generator: torch.Generator,
    *,
    tries: int = 3,
) -> Matching:
    r"""Permutations $P_l$ that make the inner product of the weights large, by weight matching.

    $$\max_{P_1, \dots, P_{L-1}} \sum_l \langle W_l^A, P_l W_l^B P_{l-1}^\top \rangle$$

    One layer at a time, in random order, the others held fixed: a linear assignment problem, solved
    exactly; until no layer changes. The sum never falls, and the end is a local maximum, since the
    problem for all layers is hard. The best of several orders is kept, the first of which begins
    with the units as they are.

    Args:
        hidden: The layers whose units may change places.
        fixed: Weights by name.
        state: Weights of the network whose units are put in order.
        generator: Of the orders of the layers.
        tries: How often, at least 1.

    Cost: no evaluation of the networks; per sweep and layer an assignment of its units.

    References:
        Ainsworth, Hayase and Srinivasa, Git Re-Basin: Merging models modulo permutation
        symmetries, 2023, arXiv:2209.04836, algorithm 1.
    """
    best: Matching | None = None
    start = _inner(hidden, fixed, state)
    for _ in range(tries):
        order = {item.layer: torch.arange(item.units) for item in hidden}
        for _ in range(_SWEEPS):
            changed = False
            for k in torch.randperm(len(hidden), generator=generator).tolist():
                item = hidden[k]
                found = _assigned(hidden, k, fixed, permuted(hidden, state, order))
                changed |= not torch.equal(found, torch.arange(item.units))
                order[item.layer] = order[item.layer][found]
            if not changed:
                break
        after = _inner(hidden, fixed, permuted(hidden, state, order))
        if best is None or after > best.after:
            best = Matching(order, start, after)
    return best or Matching({}, start, start)


def _assigned(
    hidden: tuple[Hidden, ...],
    k: int,
    fixed: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
) -> Tensor:
    """The order of one layer's units in which both networks agree most; as it is if none gains."""
    item = hidden[k]
    pairs = [_by_unit(item, own) for own in (fixed, state)]
    gain = pairs[0] @ pairs[1].T
    _, columns = linear_sum_assignment(gain, maximize=True)
    units = np.arange(item.units)
    slack = 1e-9 * np.abs(gain).sum() / item.units
    if gain[units, columns].sum() <= np.trace(gain) + slack:
        return torch.arange(item.units)
    return torch.as_tensor(columns)


def _by_unit(item: Hidden, state: Mapping[str, Tensor]) -> Float[np.ndarray, "units features"]:
    """All weights that belong to each unit, in a row: coming in, beside it, going out."""
    weight, after = state[f"{item.layer}.weight"], state[f"{item.after}.weight"]
    going = after.reshape(len(after), item.units, -1).transpose(0, 1)
    rows = [weight.flatten(1), going.flatten(1)]
    rows += [state[n][:, None] for n in item.beside if n in state and _counts(n)]
    return np.asarray(torch.cat([r.double().cpu() for r in rows], 1).numpy())


def _inner(
    hidden: tuple[Hidden, ...], fixed: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> float:
    """The inner product of all weights that a permutation can move."""
    names = {f"{h.layer}.weight" for h in hidden} | {f"{h.after}.weight" for h in hidden}
    names |= {name for h in hidden for name in h.beside if name in state and _counts(name)}
    return float(sum((fixed[n].double() * state[n].double()).sum() for n in sorted(names)))


def _counts(name: str) -> bool:
    """Whether a tensor is a weight, not a statistic."""
    return name.rsplit(".", 1)[-1] not in _STATISTICS
