"""What do the training examples alone certify about fresh ones?"""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.utils import parameters_to_vector

from wellposed.audit._check import Check, forward
from wellposed.audit._few import few
from wellposed.audit._folded import folded
from wellposed.audit._fresh import copied
from wellposed.audit._posterior import GRID, Posterior, posterior, sensitivity, trained
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.problem import top_k_error
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict
from wellposed.stats import binary_kl, clopper_pearson
from wellposed.stats import pac_bayes as bound_of

LEVEL = 0.95
DELTA_BOUND, DELTA_COUNT = 0.04, 0.01
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0, 16.0)
POOL = 2000
TRIED = (10, 250)
FEWEST = 300
WORK = 500_000_000
"""Normal numbers drawn at most for one count."""


@final
@dataclass(frozen=True)
class Certificate:
    """An upper limit for the error of the network with noise on its weights.

    Args:
        posterior: The noise.
        center: Of the prior.
        sizes: Weights per group, in order.
        n: Training examples.
        wrong: Errors of pairs (weights, training example), all drawn independently.
        pairs: How many pairs.
    """

    posterior: Posterior
    center: Tensor
    sizes: tuple[int, ...]
    n: int
    wrong: int
    pairs: int

    @property
    def seen(self) -> float:
        """The error on the training part is at most this, but for a probability of 0.01."""
        return clopper_pearson(self.wrong, self.pairs, 1 - 2 * DELTA_COUNT)[1]

    @property
    def bound(self) -> float:
        """The error on fresh examples is at most this, but for a probability of 0.05."""
        return bound_of(self.seen, self.posterior.complexity, self.n, DELTA_BOUND)


def pac_bayes(subject: Subject, *, pairs: int = 5000) -> Finding:
    r"""Certify the error on fresh examples from the training examples alone.

    The certificate is for a stochastic neighbour of the network: its weights with Gaussian noise,
    as wide as the loss allows (Laplace's approximation, its temperature chosen on the training
    part, which the theorem permits). The prior is centred at the initial weights, or at 0 where
    those are not known; it must not depend on the training examples, so the certificate is void if
    the initial weights came from a training on them. The bound is Maurer's, by inversion of the
    binary relative entropy; the error on the training part enters as Clopper and Pearson's upper
    limit from independent pairs of weights and example. Both together are wrong with probability
    0.05 at most. Errors on the part kept apart are compared with it: where they are surely above,
    the two parts are not drawn alike. Batch norm is taken as the scale and shift that it is in
    eval mode, with a prior like other weights, since its statistics were fitted to the data too.

    A certificate from held-out examples is tighter and is printed beside it: the limit of Clopper
    and Pearson for the network itself. The PAC-Bayes bound is what can be had without any.

    Args:
        subject: A classifier with a train part.
        pairs: Of weights and example, at most this many; fewer for large networks.

    Cost: 2,000 gradients, 15,000 forward passes to choose the noise, and one per pair and part.

    Raises `ArgumentError` if the subject is no classifier, has no train part or no parameters, or
    carries statistics of the data that are not those of batch norm.

    References:
        Maurer, A note on the PAC Bayesian theorem, 2004, arXiv:cs/0411099; Langford and Caruana,
        (Not) bounding the true error, 2001; Dziugaite and Roy, Computing nonvacuous generalization
        bounds for deep (stochastic) neural networks, 2017, arXiv:1703.11008.
    """
    subject.require_classes("pac-bayes")
    subject.require_part("train", "pac-bayes")
    subject.require_parameters("pac-bayes")
    guess, apart = _guessing(subject), subject.judged
    model = folded(copied(subject.model, "pac-bayes")).eval()
    _require_no_statistics(model)
    found = _certificate(subject, model, pairs, guess)
    noise, n = found.posterior, found.n
    wrong, count = found.wrong, found.pairs
    if apart != "train":
        wrong, count = _errors(subject, model, noise, apart, found.pairs)
    interval = clopper_pearson(wrong, count, LEVEL)
    threshold = Threshold(
        found.bound, "above", "theorem", "PAC-Bayes with probability 0.95 (arXiv:cs/0411099)"
    )
    vacuous = found.bound >= guess
    verdict = Verdict.UNKNOWN if vacuous else threshold.judge(interval)
    spread = float(noise.sd.square().mean().sqrt())
    held = _held_out(subject)
    center = "the initial weights" if _knows_start(subject) else "0"
    nothing = f", which says no more than guessing ({100 * guess:.1f} %)" if vacuous else ""
    return Finding(
        check="pac-bayes",
        verdict=verdict,
        statement=f"By its {n:,} training examples alone, with noise of {spread:.2g} on its "
        f"weights it errs in at most {100 * found.bound:.1f} % of fresh examples, with confidence "
        f"{100 * LEVEL:g} %{nothing}; with this noise it errs in {100 * wrong / count:.1f} % "
        f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}] on {apart}{held[0]}.",
        value=wrong / count,
        interval=interval,
        level=LEVEL,
        unit="error with noise",
        threshold=threshold,
        evidence={
            "bound": found.bound,
            "delta": DELTA_BOUND + DELTA_COUNT,
            "complexity_nats": noise.complexity,
            "examples": n,
            "training_error_at_most": found.seen,
            "wrong_pairs": {"train": found.wrong, apart: wrong},
            "pairs": {"train": found.pairs, apart: count},
            "prior_center": center,
            "prior_sd": list(noise.prior_sd[:50]),
            "error_of_guessing": guess,
            "held_out_limit": held[1],
            "seed": subject.seed,
        },
        verified=_verified(found),
        remedy=_remedy(verdict),
        figures=(_figure(found, interval, guess, held[1], apart),),
    )


def _require_no_statistics(model: nn.Module) -> None:
    """Buffers that training fits have no prior.

    Raises `ArgumentError` if there are some.
    """
    fitted = [
        name
        for name, module in model.named_modules()
        if getattr(module, "running_mean", None) is not None
    ]
    require(
        not fitted,
        f"pac-bayes needs a prior for all that training fits, and the statistics of {len(fitted)} "
        f"layers ({', '.join(fitted[:3])}) have none; fold them into the weights first",
    )


def _certificate(subject: Subject, model: nn.Module, pairs: int, guess: float) -> Certificate:
    """The best of a few temperatures, counted anew."""
    params = trained(model)
    mean, center = parameters_to_vector(params).detach().clone(), _center(subject)
    inputs, targets = subject.take("train", few(subject, "train", POOL))
    with torch.enable_grad():
        fisher = sensitivity(model, subject.losses, inputs, targets)
    n, sizes = len(subject.parts["train"]), tuple(p.numel() for p in params)
    best: tuple[float, Posterior] | None = None
    for temperature in TEMPERATURES:
        made = posterior(mean, center, fisher, sizes, n, temperature)
        if best is not None and bound_of(0, made.complexity, n, DELTA_BOUND) >= guess:
            continue  # no better than guessing, even without a single error
        tried = bound_of(_tried(subject, model, made, inputs, targets), made.complexity, n)
        if best is None or tried < best[0]:
            best = (tried, made)
    assert best is not None
    limit = FEWEST if best[0] >= guess else max(FEWEST, min(pairs, WORK // len(mean)))
    wrong, count = _errors(subject, model, best[1], "train", limit)
    return Certificate(best[1], center, sizes, n, wrong, count)


def _knows_start(subject: Subject) -> bool:
    """Whether the initial value of every trained weight is known."""
    names = [n for n, p in subject.model.named_parameters() if p.requires_grad]
    return subject.initial is not None and all(name in subject.initial for name in names)


def _center(subject: Subject) -> Tensor:
    """Where the prior is centred: the initial weights, batch norm folded as it began, or 0."""
    model = copied(subject.model, "pac-bayes")
    if _knows_start(subject):
        for module in model.modules():
            reset = getattr(module, "reset_running_stats", None)
            if callable(reset):
                reset()
        model.load_state_dict({**model.state_dict(), **dict(subject.initial or {})})
    found = parameters_to_vector(trained(folded(model))).detach().clone()
    return found if _knows_start(subject) else torch.zeros_like(found)


def _tried(
    subject: Subject, model: nn.Module, noise: Posterior, inputs: Tensor, targets: Tensor
) -> float:
    """The error with noise on some training examples, roughly."""
    draws, size = TRIED
    source = subject.generator("pac-bayes tried")
    wrong = 0.0
    with torch.no_grad():
        for made in noise.draws(model, draws, source):
            rows = torch.randint(len(inputs), (size,), generator=source).to(inputs.device)
            wrong += float(top_k_error(made(inputs[rows]), targets[rows]).double().mean())
    return min(wrong / draws, 1.0)


def _errors(
    subject: Subject, model: nn.Module, noise: Posterior, part: str, pairs: int
) -> tuple[int, int]:
    """Errors of independent pairs of weights and an example of the whole part."""
    source = subject.generator(f"pac-bayes {part}")
    rows = torch.randint(len(subject.parts[part]), (pairs,), generator=source)
    wrong, number = 0, 0
    draws = noise.draws(model, pairs, source)
    with torch.no_grad():
        for block in rows.split(subject.batch_size):
            inputs, targets = subject.parts[part].take(block)
            x, y = inputs.to(subject.device), targets.to(subject.device)
            for i in range(len(block)):
                made = next(draws)
                wrong += int(top_k_error(made(x[i : i + 1]), y[i : i + 1]).item() > 0)
                number += 1
    return wrong, number


def _guessing(subject: Subject) -> float:
    """The error of always naming the most frequent class of a few training examples."""
    _, labels = subject.take("train", few(subject, "train", POOL))
    return 1 - float(labels.bincount().max()) / len(labels)


def _held_out(subject: Subject) -> tuple[str, float | None]:
    """What Clopper and Pearson say of the network itself by examples kept apart."""
    apart = subject.judged
    if apart == "train":
        return "", None
    outputs, targets = subject.outputs(apart, 10_000)
    wrong = round(float(top_k_error(outputs, targets).double().sum()))
    limit = clopper_pearson(wrong, len(targets), 2 * LEVEL - 1)[1]
    said = f"; held out, {len(targets):,} examples certify {100 * limit:.1f} % without noise"
    return said, limit


def _verified(found: Certificate) -> str:
    """The complexity from torch's own relative entropy, and the bound from its equation."""
    noise = found.posterior
    wide = [
        torch.full((size,), sd, dtype=torch.float64)
        for size, sd in zip(found.sizes, noise.prior_sd, strict=True)
    ]
    mean, sd, center = (t.double().cpu() for t in (noise.mean, noise.sd, found.center))
    kl = kl_divergence(Normal(mean, sd), Normal(center, torch.cat(wide))).sum()
    again = float(kl) + len(found.sizes) * math.log(len(GRID))
    off = abs(again - noise.complexity) / noise.complexity
    budget = (noise.complexity + math.log(2 * math.sqrt(found.n) / DELTA_BOUND)) / found.n
    left = binary_kl(found.seen, found.bound) - budget if found.bound < 1 else 0.0
    return (
        f"relative entropy against torch.distributions: off by {off:.0e}; the bound solves its "
        f"equation up to {abs(left):.0e}"
    )


def _remedy(verdict: Verdict) -> str:
    if verdict is Verdict.FAIL:
        return (
            "the parts are not drawn alike, or the initial weights have seen the data: look at "
            "both parts"
        )
    if verdict is Verdict.UNKNOWN:
        return "keep examples apart: the limit of Clopper and Pearson needs no prior and is tighter"
    return ""


def _figure(
    found: Certificate,
    interval: tuple[float, float],
    guess: float,
    held: float | None,
    apart: str,
) -> Bars:
    rows: list[tuple[str, float, float, float]] = [
        ("bound, with noise", found.bound, 0.0, found.bound),
        (f"on {apart}, with noise", sum(interval) / 2, *interval),
    ]
    if held is not None:
        rows.append(("held-out limit, without noise", held, 0.0, held))
    return Bars(
        "What is certain about the error",
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows),
        tuple(row[2] for row in rows),
        tuple(row[3] for row in rows),
        y_label="error",
        percent=True,
        marks=(Mark("y", guess, "guessing"),),
        note=f"Each with confidence {100 * LEVEL:g} %.",
    )


def _cost(subject: Subject, pairs: int = 5000) -> int:
    weights = sum(p.numel() for p in subject.parameters) or 1
    count = max(FEWEST, min(pairs, WORK // weights))
    parts = len({"train", subject.judged})
    tried = len(TEMPERATURES) * TRIED[0] * TRIED[1]
    return min(POOL, len(subject.parts["train"])) + forward(tried + parts * count)


CHECK = Check(
    pac_bayes,
    family="generalization",
    question="What do the training examples alone certify about fresh ones?",
    cost=_cost,
    batch=2,  # weights are drawn for every example, which takes as long as such a batch
    settings={"standard": {}, "deep": {"pairs": 50_000}},
)
