"""Do examples that break one network break others?"""

import math
from collections.abc import Sequence
from reprlib import repr as shown
from typing import Any

import torch
from torch import Tensor

from wellposed.audit._bracket import NORMS
from wellposed.audit._check import BUDGETS, Budget, Check, forward
from wellposed.audit._raw_space import RawSpace, raw_space
from wellposed.audit._subject import Subject
from wellposed.errors import UnknownNameError, require
from wellposed.perturb import APGD, Ball, Pool, TargetedAPGD, Transfer, transfer
from wellposed.runs import Finding, Listing, Verdict

LEVEL = 0.95
_ATTACK, _SECOND = APGD(), TargetedAPGD()
_TASK = ("classes", "inputs of shape", "raw inputs in")


def transfer_check(
    others: Sequence[Subject], eps: float, norm: str = "linf", examples: int | None = 200
) -> Check:
    r"""The check `transfer`, for `examine`: what is crafted on a network is shown to the others.

    The deepest examples that `APGD` finds in the ball around the subject's examples, on the subject
    and on each of the others, are shown to all; a pair of networks counts the inputs that both are
    right about. Each network is a function of raw inputs, so that networks with different
    standardization agree about them.

    The value is the largest share of examples crafted on another network that break the subject;
    its interval, from those of Clopper and Pearson at level 1 - 0.05/k for k other networks, holds
    for the largest, whichever it is. The check warns if the others break an example that attacks
    on the subject itself, which see its gradients, do not: gradients are hidden, or the attacks
    are weak. What `APGD` misses meets `TargetedAPGD` before it counts, since one start alone
    misses up to one in a hundred of healthy networks.

    Args:
        others: Trained networks on the same kind of data, at least one.
        eps: In the units of raw inputs, above 0.
        norm: "linf", "l2" or "l1".
        examples: At most this many of the subject's judged part; None for all.

    Cost: per network 100 gradients to the input per example, two thirds of a gradient each (102 in
    the L1 norm), and a forward pass per network and example beside three more. It is stated as if
    all networks were of the subject's size. Not stated are the up to 900 gradients to the input
    per example that others break and `APGD` on the subject does not: few, unless gradients hide.

    Raises `UnknownNameError` for another norm, and `ArgumentError` without another network or for a
    radius that is not positive and finite. The check raises `ArgumentError` as `require_alike`
    does, where inputs are no real numbers of a known range, or if no other network is right about
    an example that the subject is right about.

    References:
        Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow and Fergus, Intriguing properties of
        neural networks, 2013, arXiv:1312.6199; Papernot, McDaniel and Goodfellow, Transferability
        in machine learning, 2016, arXiv:1605.07277 (the matrix); value and verdict are ours.
    """
    if norm not in NORMS:
        raise UnknownNameError("norm", norm, tuple(NORMS))
    require(len(others) > 0, "transfer needs at least one other network, got none")
    require(0 < eps < math.inf, f"transfer needs a radius above 0, and finite, got {eps:g}")
    ball = NORMS[norm](eps)

    def transfer(subject: Subject) -> Finding:
        require_alike(subject, others)
        return _finding(subject, others, ball, examples)

    def cost(subject: Subject) -> int:
        size = len(subject.parts[subject.judged])
        n = size if examples is None else min(size, examples)
        networks = len(others) + 1
        each = 2 * _ATTACK.length(ball) + networks + 3  # forward passes
        return n * networks * forward(each)

    every: dict[Budget, dict[str, Any]] = {name: {} for name in BUDGETS}
    question = "Do examples that break another network break this one?"
    return Check(transfer, family="robustness", question=question, cost=cost, settings=every)


def require_alike(subject: Subject, others: Sequence[Subject]) -> None:
    """That networks can be shown each other's inputs.

    Args:
        subject: Whose examples are shown.
        others: Networks that shall take them.

    Raises `ArgumentError` if classes, the shape of an input, or the range of raw inputs differ.
    """
    known = _task(subject)
    for other in others:
        for what, one, another in zip(_TASK, known, _task(other), strict=True):
            require(
                one == another,
                f"transfer shows the examples of {subject.name} to {other.name}, which knows "
                f"{what} {shown(another)} where they have {shown(one)}; give networks of the same "
                "data",
            )


def _task(subject: Subject) -> tuple[Any, ...]:
    shape = tuple(subject.take(subject.judged, 1)[0].shape[1:])
    return subject.require_classes("transfer"), shape, subject.input_range


def _finding(
    subject: Subject, others: Sequence[Subject], ball: Ball, examples: int | None
) -> Finding:
    space = raw_space(subject, "transfer", examples)
    models = {_name(subject, ()): space.model}
    for other in others:
        models[_name(other, models)] = raw_space(other, "transfer", examples).model
    found = transfer(
        models, space.inputs, space.labels, ball, attack=_ATTACK, bounds=space.bounds,
        seed=subject.seed, pool=Pool(subject.batch_size),
    )  # fmt: skip
    own, *rest = found.names
    usable = [name for row, name in enumerate(rest, 1) if found.counted[row, 0] > 0]
    require(
        bool(usable),
        f"transfer counts examples that two networks are right about, and of {len(space.inputs)} "
        f"there is none for {own} and another; give networks that have learned these data",
    )
    shares = {name: float(found.shares[found.names.index(name), 0]) for name in usable}
    worst = max(usable, key=shares.__getitem__)
    ends = [found.interval(name, own, 1 - (1 - LEVEL) / len(usable)) for name in usable]
    interval = max(low for low, _ in ends), max(high for _, high in ends)
    rows = subject.rows(space.part, examples)[_missed(found, space, ball, subject).cpu()].tolist()
    return Finding(
        check="transfer",
        verdict=Verdict.WARN if rows else Verdict.PASS,
        statement=_statement(found, space, ball, worst, interval, len(rows)),
        value=shares[worst],
        interval=interval,
        level=LEVEL,
        unit="share",
        evidence=_evidence(found, space, ball)
        | {"missed_by_apgd": int(found.missed(own).sum()), "missed": rows},
        verified=_verified(found, space, ball),
        remedy="attacks on it miss what others find, so do not trust these alone: wellposed "
        "robustness with --budget full, and look at what it suspects"
        if rows
        else "",
        figures=(_matrix(found),),
    )


def _missed(found: Transfer, space: RawSpace, ball: Ball, subject: Subject) -> Tensor:
    """Places of examples that others break, and attacks on the network itself do not."""
    places = found.missed(found.names[0]).nonzero().flatten()
    if not len(places):
        return places
    second = _SECOND(
        space.model, space.inputs[places], space.labels[places], ball, bounds=space.bounds,
        seed=subject.seed, pool=Pool(subject.batch_size),
    )  # fmt: skip
    return places[~second.broken]


def _name(subject: Subject, taken: Any) -> str:
    """The name of a network, with a number if others have it already."""
    said = (f"{subject.name} ({number})" for number in range(2, len(taken) + 2))
    return next(name for name in (subject.name, *said) if name not in taken)


def _pairs(found: Transfer) -> Tensor:
    """The shares of all pairs of different networks that have one."""
    same = torch.eye(len(found.names), dtype=torch.bool, device=found.shares.device)
    return found.shares[~same & ~found.shares.isnan()]


def _statement(
    found: Transfer, space: RawSpace, ball: Ball, worst: str, interval: tuple[float, float], n: int
) -> str:
    row, pairs, others = found.names.index(worst), _pairs(found), len(found.names) - 1
    low, high = (100 * end for end in interval)
    own = 100 * float(found.shares[0, 0])
    said = (
        f"Changes of {ball.norm} norm up to {ball.eps:g} of raw inputs in [{space.bounds[0]:g}, "
        f"{space.bounds[1]:g}] that were crafted on {worst} break "
        f"{100 * float(found.shares[row, 0]):.1f} % [{low:.1f}, {high:.1f}] of the "
        f"{int(found.counted[row, 0])} {space.part} examples that both get right"
    )
    said += f", the most of {others} other networks" if others > 1 else ""
    said += (
        f", where those crafted on the network itself break {own:.1f} %; over the {len(pairs)} "
        f"ordered pairs of different networks the mean is {100 * float(pairs.mean()):.1f} %"
    )
    if n:
        said += f"; {n} example{'s' if n > 1 else ''} that others break no attack on itself does"
    return said + "."


def _evidence(found: Transfer, space: RawSpace, ball: Ball) -> dict[str, Any]:
    crafted = found.crafted.values()
    return {
        "networks": list(found.names),
        "norm": ball.norm,
        "eps": ball.eps,
        "bounds": list(space.bounds),
        "attack": repr(_ATTACK),
        "part": space.part,
        "n": len(space.inputs),
        "right": found.right.sum(1).tolist(),
        "counted": found.counted.tolist(),
        "breaks": found.breaks.tolist(),
        "mean_over_pairs": float(_pairs(found).mean()),
        "gradients": [int(attacked.gradients.sum()) for attacked in crafted],
        "forwards": [int(attacked.forwards.sum()) for attacked in crafted],
    }


def _verified(found: Transfer, space: RawSpace, ball: Ball) -> str:
    again = found.broken.diagonal().T  # torch puts the diagonal last
    said = [attacked.broken for attacked in found.crafted.values()]
    differ = sum(int((one != two).sum()) for one, two in zip(said, again, strict=True))
    far = max(
        float(ball.distance(attacked.examples, space.inputs).max())
        for attacked in found.crafted.values()
    )
    return (
        f"shown again to the network each was crafted on, {differ} of {again.numel()} examples "
        f"answer otherwise than the attack said; none is farther than {far:.6g} from its input"
    )


def _matrix(found: Transfer) -> Listing:
    rows = []
    for one in found.names:
        cells = [one]
        for column, another in enumerate(found.names):
            place = found.names.index(one)
            n = int(found.counted[place, column])
            if not n:
                cells.append("none counted")
                continue
            low, high = (100 * end for end in found.interval(one, another, LEVEL))
            share = 100 * float(found.shares[place, column])
            cells.append(f"{share:.1f} [{low:.1f}, {high:.1f}] of {n}")
        rows.append(tuple(cells))
    return Listing(
        "Who breaks whom",
        ("crafted on", *found.names),
        tuple(rows),
        note="Per cent of the inputs that both networks get right; each column is shown the "
        f"examples of every row. Clopper-Pearson intervals at {100 * LEVEL:g} %, each for itself.",
    )
