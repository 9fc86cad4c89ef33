"""How small a change of the input is enough to change what the network says?"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wellposed.audit._bracket import NORMS, bracket
from wellposed.audit._bracketed import Bracket
from wellposed.audit._check import BUDGETS, Budget, Check, forward
from wellposed.audit._raw_space import RawSpace, raw_space
from wellposed.audit._robustness_figures import bracket_curves, counterexample_pictures
from wellposed.audit._subject import Subject
from wellposed.errors import UnknownNameError, require
from wellposed.perturb import LADDERS, Pool
from wellposed.problem import eval_mode
from wellposed.runs import Figure, Finding, Threshold, Verdict
from wellposed.stats import clopper_pearson

LEVEL = 0.95
MILD = 0.01
LOSS = 0.05
_SOURCE = "ours: nobody sees a change of a hundredth of the range"
_GRADIENTS = {"fast": 18, "standard": 56, "full": 1000, "autoattack": 3000}
_PROOF = {"ibp": 1, "crown-ibp": 4, "crown": 100, "alpha-crown": 200, "auto": 50}  # measured


def robustness(
    subject: Subject,
    *,
    examples: int | None = 200,
    radii: Sequence[float] = (0.005, MILD, 0.02, 0.05),
    norm: str = "linf",
    budget: str = "standard",
    method: str = "auto",
) -> Finding:
    r"""Attack, and certify what the attack leaves: see `bracket`.

    The value is the accuracy that is lost, for certain, in a radius of a hundredth of the range of
    raw inputs, or the radius nearest to that: the share of examples that are right and have a
    counter-example. Its interval reaches from the lower end for that share to the upper end for
    the share that is right and not proven, both by Clopper and Pearson at 97.5 %. So a weak attack
    cannot make the check pass, nor loose certificates make it warn. At another radius it passes
    only if that ball holds the one of a hundredth, and warns only if it lies in it.

    Args:
        subject: A classifier whose input range is known.
        examples: At most this many; None for all.
        radii: As shares of the range of raw inputs, above 0.
        norm: "linf", "l2" or "l1".
        budget: Of the attacks: "fast", "standard", "full" or "autoattack".
        method: Of the certificates: "auto", or one of `wellposed.certify.METHODS`.

    Cost: at most that of the ladder per example and radius (18 gradients to the input for "fast",
    56 for "standard", two thirds of a gradient each), and per example and radius that is not
    broken certificates of as many operations as 4 gradients for "crown-ibp", and some 50 to 100
    for "auto" and "crown". In seconds these take longer than as many gradients: short products in
    float64. Searches for a weak attack look at up to 50 examples, some 130 gradients each.

    Raises `ArgumentError` if inputs are no real numbers of a known range, or the subject is no
    classifier.

    References:
        Croce and Hein, 2020, arXiv:2003.01690 (attacks); Zhang et al., 2018, arXiv:1811.00866
        (certificates); value and verdict are ours.
    """
    require(len(radii) > 0, "robustness needs at least one radius")
    low, high = raw_space(subject, "robustness", examples).bounds
    eps = [share * (high - low) for share in radii]
    return finding_of(subject, *bracket_of(subject, eps, norm, examples, budget, method))


def bracket_of(
    subject: Subject, eps: Sequence[float], norm: str = "linf", examples: int | None = 200,
    budget: str = "standard", method: str = "auto", checkpoint: Path | None = None,
) -> tuple[RawSpace, Bracket]:  # fmt: skip
    """The bracket of a subject, in raw units.

    Kept: asked again, it costs nothing.

    Args:
        subject: A classifier whose input range is known.
        eps: Radii in the units of raw inputs, above 0.
        norm: "linf", "l2" or "l1".
        examples: At most this many; None for all.
        budget: Of the attacks.
        method: Of the certificates.
        checkpoint: Where the attacks are saved, and go on from.
    """

    def make() -> tuple[RawSpace, Bracket]:
        space = raw_space(subject, "robustness", examples)
        return space, bracket(
            space.model, space.inputs, space.labels, eps, norm, bounds=space.bounds,
            budget=budget, method=method, seed=subject.seed,
            pool=Pool(subject.batch_size, checkpoint),
        )  # fmt: skip

    return subject.cached(("bracket", tuple(eps), norm, examples, budget, method, checkpoint), make)


def robustness_check(
    eps: Sequence[float], norm: str = "linf", examples: int | None = 200,
    budget: str = "standard", method: str = "auto", checkpoint: Path | None = None,
) -> Check:  # fmt: skip
    """The check `robustness` with settings of the caller's own, for `examine`.

    Args:
        eps: Radii in the units of raw inputs, above 0.
        norm: "linf", "l2" or "l1".
        examples: At most this many; None for all.
        budget: Of the attacks: one of `wellposed.perturb.LADDERS`.
        method: Of the certificates: "auto", or one of `wellposed.certify.METHODS`.
        checkpoint: A file where the attacks are saved, and go on from; None keeps them in memory.

    Raises `UnknownNameError` for another norm, budget or method.
    """
    kinds = (("norm", norm, NORMS), ("budget", budget, LADDERS), ("method", method, _PROOF))
    for kind, name, known in kinds:
        if name not in known:
            raise UnknownNameError(kind, name, tuple(known))
    given = (eps, norm, examples, budget, method, checkpoint)

    def robustness(subject: Subject) -> Finding:
        return finding_of(subject, *bracket_of(subject, *given))

    def cost(subject: Subject) -> int:
        return _cost(subject, examples, eps, budget, method)

    every: dict[Budget, dict[str, Any]] = {name: {} for name in BUDGETS}
    return replace(CHECK, run=robustness, cost=cost, settings=every)


def finding_of(subject: Subject, space: RawSpace, found: Bracket) -> Finding:
    """What a bracket means for a network.

    Args:
        subject: The network.
        space: What was attacked.
        found: What came out.
    """
    width = space.bounds[1] - space.bounds[0]
    mild = min(range(len(found.radii)), key=lambda k: abs(found.radii[k] / width - MILD))
    lost = int((found.clean & found.broken[mild]).sum())
    open_ = int((found.clean & ~found.proven[mild]).sum())
    interval = clopper_pearson(lost, found.n, LEVEL)[0], clopper_pearson(open_, found.n, LEVEL)[1]
    threshold = Threshold(LOSS, "above", "convention", _SOURCE)
    verdict, beside = _verdict(threshold, interval, found, found.radii[mild] / width)
    again, kept = _asked_again(space, found)
    figures: tuple[Figure, ...] = (bracket_curves(found),)
    figures += counterexample_pictures(subject, space, found)
    return Finding(
        check="robustness",
        verdict=verdict,
        statement=_statement(space, found, mild, (lost, open_), interval),
        value=lost / found.n,
        interval=interval,
        level=LEVEL,
        unit="share",
        threshold=threshold,
        evidence=found.to_dict() | {"part": space.part, "judged_at": found.radii[mild]},
        verified=f"{again} of {kept} counter-examples, shown to the network again, are "
        f"misclassified; {found.crossed} broken examples were bounded as well, and none of them is "
        f"certified; in raw units and back, {space.moved} of {found.n} predictions differ",
        remedy=beside or ("" if verdict is Verdict.PASS else _remedy(found, mild, verdict)),
        figures=figures,
    )


def _verdict(
    threshold: Threshold, interval: tuple[float, float], found: Bracket, share: float
) -> tuple[Verdict, str]:
    """The verdict, and what to ask for if this radius does not decide about the mild one.

    What is lost in a ball is lost in every one around it, and what holds there holds in every one
    inside.
    """
    verdict = threshold.judge(interval)
    around = share >= MILD * (1 - 1e-9) and found.norm == "linf"
    inside = share <= MILD * (1 + 1e-9)  # balls of the other norms lie inside that of linf
    if (verdict is Verdict.PASS and not around) or (verdict is Verdict.WARN and not inside):
        eps = MILD * (found.bounds[1] - found.bounds[0])
        return Verdict.UNKNOWN, f"the threshold is about radius {eps:g} in linf: ask for it as well"
    return verdict, ""


def _asked_again(space: RawSpace, found: Bracket) -> tuple[int, int]:
    """How many of the counter-examples that were kept are misclassified, all in one pass."""
    kept = found.counterexamples()
    if not len(kept["index"]):
        return 0, 0
    points, labels = kept["examples"].to(space.inputs.device), kept["labels"]
    with torch.no_grad(), eval_mode(space.model):
        outputs = torch.cat([space.model(part).float().cpu() for part in points.split(250)])
    right = outputs.argmax(1) if outputs.dim() == 2 and outputs.shape[1] > 1 else None
    guess = (outputs.flatten() > 0).long() if right is None else right
    return int((guess != labels).sum()), len(labels)


def _statement(
    space: RawSpace,
    found: Bracket,
    k: int,
    counts: tuple[int, int],
    interval: tuple[float, float],
) -> str:
    low, high = (100 * count / found.n for count in counts)
    ends = [100 * end for end in interval]
    first = 100 * found.accuracy
    said = (
        f"Changes of {found.norm} norm up to {found.radii[k]:g} of raw inputs in "
        f"[{found.bounds[0]:g}, {found.bounds[1]:g}] cost between {low:.1f} and {high:.1f} points "
        f"of accuracy [{ends[0]:.1f}, {ends[1]:.1f}]: of {found.n} {space.part} examples "
        f"{first:.1f} % are right, {100 * found.lower[k]:.1f} % provably stay so, and "
        f"{100 - 100 * found.upper[k]:.1f} % have a counter-example or are wrong as they are."
    )
    if found.reason:
        said += f" Nothing is proven: {found.reason.rstrip('.')}."
    if found.suspected:
        said += " A weak attack is suspected, so that the network may be weaker still."
    return said


def _remedy(found: Bracket, k: int, verdict: Verdict) -> str:
    if verdict is Verdict.WARN:
        return (
            f"train on the worst inputs: AdversarialTraining(eps={found.radii[k]:g}) of "
            "wellposed.regularizers, in a recipe [[regularizer]] name = "
            f'"adversarialtraining", eps = {found.radii[k]:g}, or InputGradient; '
            "eps is in the units of what the model takes"
        )
    if found.reason:
        return "without certificates this cannot pass; see the guide on certificates"
    return (
        "more examples, better certificates or stronger attacks narrow the interval: wellposed "
        "robustness with --examples 1000, --method auto or --budget full"
    )


def _cost(
    subject: Subject, examples: int | None = 200, radii: Sequence[float] = (0.0,) * 4,
    budget: str = "standard", method: str = "auto", **_: Any,
) -> int:  # fmt: skip
    n = len(subject.parts[subject.judged])
    n = n if examples is None else min(n, examples)
    attack = forward(2 * _GRADIENTS[budget])  # gradients to the input leave out the weights'
    doubts = min(n, 50) * (forward(2 * 90) + forward(200)) + min(n, 12) * (attack + forward(400))
    return n * (len(radii) * (attack + _PROOF[method]) + 1) + doubts


CHECK = Check(
    robustness,
    family="robustness",
    question="How small a change of the input changes what it says?",
    cost=_cost,
    batch=16,  # examples that are broken leave the batch of an attack
    settings={
        "quick": {
            "examples": 100, "radii": (MILD, 0.03), "budget": "fast", "method": "crown-ibp",
        },
        "standard": {"examples": 200, "method": "crown-ibp"},
        "deep": {"examples": 1000, "radii": (0.002, 0.005, MILD, 0.02, 0.03, 0.05, 0.1)},
    },
)  # fmt: skip
