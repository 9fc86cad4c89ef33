"""Does everything that should learn receive a gradient, and do inputs matter?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.audit._check import Check, at_hand
from wellposed.audit._subject import Subject
from wellposed.audit._twin import Twin, twin
from wellposed.errors import require
from wellposed.runs import Finding, Listing, Threshold, Verdict
from wellposed.stats import mean_interval


@final
@dataclass(frozen=True)
class Silent:
    """A parameter that receives no gradient.

    Args:
        name: Of the parameter.
        weights: How many it has.
        kind: "unused", "zero", or "cut off" if the objective depends on it all the same.
    """

    name: str
    weights: int
    kind: str


def coverage(subject: Subject, *, examples: int = 64) -> Finding:
    r"""Look on one batch for weights without a gradient, and for outputs that ignore the input.

    A trainable parameter that the objective does not use, or whose gradient is exactly 0, does not
    learn from these examples; one that is used in train mode only is left out. Each is moved by a
    tenth of its size: if the objective changes, it is cut off from the gradient, by detach() or by
    .data. With the weights before training, weights that never moved and frozen ones that did are
    counted, and the first loss is compared with $\ln C$, that of equal probabilities.

    Args:
        subject: The network and its loss; `initial` for what concerns training.
        examples: In the batch, at least 2.

    Cost: two gradients per example, and two forward passes for each silent parameter.

    Raises `ArgumentError` if no parameter requires a gradient, or the network cannot be copied.
    """
    subject.require_parameters("coverage")
    with subject.quiet():
        made = twin(subject, "coverage", examples)
        require(
            len(made.inputs) >= 2,
            "coverage compares what the network says of two inputs, and the data have one",
        )
        gradients = _gradients(made)
        silent = _silent(subject, made, gradients)
        spread, deaf = _spread(made)
    wild = [n for n, g in gradients.items() if g is not None and not bool(torch.isfinite(g).all())]
    first = _first_loss(subject, examples)
    moved = _moved(subject)
    return _finding(subject, made, silent, (spread, deaf), wild, (first, moved))


def _gradients(made: Twin) -> dict[str, Tensor | None]:
    """Gradients by name; None for a parameter that is not used."""
    named = {n: p for n, p in made.model.named_parameters() if p.requires_grad}
    value = made.objective(made.inputs)
    if not value.requires_grad:
        return dict.fromkeys(named)
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    dense = [g.to_dense() if g is not None and g.is_sparse else g for g in found]
    return dict(zip(named, dense, strict=True))


def _silent(subject: Subject, made: Twin, gradients: Mapping[str, Tensor | None]) -> list[Silent]:
    quiet = [n for n, g in gradients.items() if g is None or not g.any()]
    if not quiet:
        return []
    try:
        made.model.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(subject.seed)
            training = _gradients(made)
    except Exception:  # noqa: BLE001 - a network that cannot train on this batch
        training = {}
    finally:
        made.model.eval()
    named = dict(made.model.named_parameters())
    found = []
    for name in quiet:
        late = training.get(name)
        if gradients[name] is None and late is not None and bool(late.any()):
            continue  # an auxiliary head, say
        kind = "unused" if gradients[name] is None else "zero"
        if _matters(made, named[name], subject.generator(name)):
            kind = "cut off"
        found.append(Silent(name, named[name].numel(), kind))
    return found


@torch.no_grad()
def _matters(made: Twin, p: Tensor, generator: torch.Generator) -> bool:
    """Whether the objective changes when a parameter moves, either way, by a tenth of its size."""
    kept = p.detach().clone()
    drawn = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p)
    step = 0.1 * drawn * kept.square().mean().sqrt().clamp_min(1e-2)
    before = float(made.objective(made.inputs))
    changed = []
    for sign in (1, -1):
        p.copy_(kept + sign * step)
        changed.append(abs(float(made.objective(made.inputs)) - before))
    p.copy_(kept)
    return min(changed) > 100 * made.eps * max(abs(before), 1.0)


def _spread(made: Twin) -> tuple[float, bool]:
    """How far outputs differ between inputs, relative; and whether all are equal up to rounding."""
    with torch.no_grad():
        outputs = made.model(made.inputs).double().reshape(len(made.inputs), -1)
    size = outputs.square().mean().sqrt().clamp_min(1e-300)
    spread = float((outputs - outputs[:1]).abs().max() / size)
    return spread, spread <= 100 * made.eps


@torch.no_grad()
def _first_loss(subject: Subject, examples: int) -> tuple[float, tuple[float, float]] | None:
    """The loss of the weights before training, with an interval over examples."""
    if subject.initial is None or not subject.classes:
        return None
    part = "train" if "train" in subject.parts else subject.judged
    inputs, targets = subject.take(part, examples)
    state = {n: v.to(subject.device) for n, v in subject.initial.items()}
    with subject.quiet():
        outputs = torch.func.functional_call(subject.model, state, inputs)
    losses = subject.losses(outputs, targets).double().cpu()
    if not bool(torch.isfinite(losses).all()):
        return math.inf, (math.inf, math.inf)
    return float(losses.mean()), mean_interval(losses.tolist())


def _moved(subject: Subject) -> dict[str, list[str]]:
    """Trainable weights that are as they began, and frozen ones that are not."""
    if subject.initial is None:
        return {}
    found: dict[str, list[str]] = {"never moved": [], "frozen, and moved": []}
    for name, p in subject.model.named_parameters():
        if name in subject.initial:
            same = bool(torch.equal(subject.initial[name].to(p), p.detach()))
            if p.requires_grad and same:
                found["never moved"].append(name)
            if not p.requires_grad and not same:
                found["frozen, and moved"].append(name)
    return found


def _finding(
    subject: Subject,
    made: Twin,
    silent: list[Silent],
    spread: tuple[float, bool],
    wild: list[str],
    training: tuple[tuple[float, tuple[float, float]] | None, dict[str, list[str]]],
) -> Finding:
    first, moved = training
    total = sum(p.numel() for p in made.parameters)
    count = sum(s.weights for s in silent)
    faults = _faults(silent, moved, first, len(subject.classes))
    threshold = Threshold(0, "above", "arithmetic", "weights are counted, there is no interval")
    value = float(count)
    if spread[1]:
        verdict, value = Verdict.FAIL, spread[0]
        said = "The outputs are the same for all inputs"
        threshold = Threshold(
            100 * made.eps * (1 + 1e-9), "below", "arithmetic", "100 eps: rounding of the outputs"
        )
    elif wild:
        verdict = Verdict.FAIL
        value = float(sum(p.numel() for n, p in made.model.named_parameters() if n in wild))
        said = f"The gradient is not finite in {', '.join(wild[:3])}"
    elif faults:
        verdict, said = Verdict.WARN, "; ".join(faults[:3])
    else:
        verdict = Verdict.PASS
        said = f"All {total:,} trainable weights receive a gradient, and outputs follow the inputs"
    frozen = sum(p.numel() for p in made.model.parameters() if not p.requires_grad)
    return Finding(
        check="coverage",
        verdict=verdict,
        statement=said[0].upper() + said[1:] + ".",
        value=value,
        interval=(value, value),
        unit="relative spread" if spread[1] else "weights",
        threshold=threshold,
        where=", ".join([*wild, *(s.name for s in silent)][:5]),
        evidence={
            "examples": len(made.inputs),
            "trainable": total,
            "frozen": frozen,
            "without_gradient": count,
            "spread_of_outputs": spread[0],
            "first_loss": None if first is None else [first[0], *first[1]],
            "ln_classes": math.log(len(subject.classes)) if subject.classes else None,
            "seed": subject.seed,
        }
        | moved,
        verified=f"each of {len(silent)} silent parameters was moved, and the objective compared"
        if silent
        else "no parameter is silent, so that none had to be moved",
        remedy=_remedy(silent, spread[1]) if verdict is not Verdict.PASS else "",
        figures=_figures(silent),
    )


def _faults(
    silent: list[Silent],
    moved: dict[str, list[str]],
    first: tuple[float, tuple[float, float]] | None,
    classes: int,
) -> list[str]:
    words = {
        "cut off": "the objective depends on {}, and no gradient reaches it",
        "unused": "the objective does not use {}",
        "zero": "the gradient is 0 in all of {}",
    }
    found = []
    for kind, sentence in words.items():
        names = [s.name for s in silent if s.kind == kind]
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            found.append(sentence.format(", ".join(names[:2]) + more))
    for what, names in moved.items():
        if names:
            found.append(f"{len(names)} parameters {what}, first {names[0]}")
    if first is not None and math.isinf(first[0]):
        found.append("the first loss was not finite")
    elif first is not None and classes > 1 and first[1][0] > 1.5 * math.log(classes):
        found.append(
            f"the first loss was {first[0]:.3g} [{first[1][0]:.3g}, {first[1][1]:.3g}], well above "
            f"ln {classes} = {math.log(classes):.3g}: confident before training"
        )
    return found


def _remedy(silent: list[Silent], deaf: bool) -> str:  # noqa: FBT001
    if deaf:
        return "look for a layer that is dead or saturated (the checks of signals name it)"
    if any(s.kind == "cut off" for s in silent):
        return "take away detach(), .data or no_grad() on the way to the loss"
    if silent:
        return "leave these parameters out, use them, or freeze them by requires_grad_(False)"
    return "smaller weights in the last layer begin at ln C; see which parameters the optimizer has"


def _figures(silent: list[Silent]) -> tuple[Listing, ...]:
    rows = tuple((s.name, s.kind, f"{s.weights:,}") for s in silent[:30])
    listing = Listing("Parameters without a gradient", ("name", "why", "weights"), rows, right=2)
    return (listing,) if rows else ()


def _cost(subject: Subject, examples: int = 64) -> int:
    return 2 * at_hand(subject, examples)


CHECK = Check(
    coverage,
    family="derivatives",
    question="Does everything that should learn receive a gradient?",
    cost=_cost,
    batch=64,
    settings={"quick": {"examples": 16}, "standard": {}, "deep": {"examples": 256}},
)
