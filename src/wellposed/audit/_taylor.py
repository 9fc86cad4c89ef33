"""Is the gradient that training uses the derivative of the objective?"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wellposed.audit._check import Check, forward
from wellposed.audit._compared import Compared, worst_of
from wellposed.audit._slope import slope
from wellposed.audit._subject import Subject
from wellposed.audit._twin import Twin, twin
from wellposed.errors import in_a_line, require
from wellposed.runs import Curves, Finding, Series, Verdict

HESSIAN = "the Hessian product"


def taylor(
    subject: Subject, *, examples: int = 8, directions: int = 2, second: bool = True
) -> Finding:
    r"""Test the gradient of the objective, in the weights and in the inputs, by Taylor's theorem.

    Along a random direction d the remainder

    $$E_1(h) = |f(w + h d) - f(w) - h \langle \nabla f(w), d \rangle|$$

    is of order 2 where f is smooth, and of order 1 if the gradient is wrong: from where it leaves
    order 2, the error of the gradient is read, by central differences at the step where their own
    error is least. A network with kinks (ReLU, max-pooling) shows order 2 only for steps below the
    distance to the next kink. Where the weights lie on a kink, the test is repeated beside it, and
    where the loss is so near to 0 that its differences are rounding, with one target for all
    examples. Everything runs on a copy in float64 in eval mode, dropout off.

    The same for the second derivative: $\langle d, \nabla^2 f d \rangle$ by double backward is
    compared with differences of the gradient; where only that is wrong, the finding warns.

    Args:
        subject: The network, its loss and regularizer.
        examples: In the objective, at least 1.
        directions: For each of weights and inputs, at least 1.
        second: Whether second derivatives are tested.

    Cost: about 60 forward passes per example and direction, in weights and inputs, and 30 gradients
    for the second derivative.

    Raises `ArgumentError` if the network cannot be copied, gives another value when asked again,
    or has neither weights nor inputs to differentiate by.

    References:
        Griewank and Walther, Evaluating derivatives, 2008, chapter 3; More and Wild, Estimating
        computational noise, 2011.
    """
    with subject.quiet():
        made = twin(subject, "taylor", examples)
        generator = subject.generator("taylor")
        compared = _all(made, generator, directions)
        moved = []
        if worst_of(compared).verdict is not Verdict.PASS:
            _step_aside(made, generator)
            compared, moved = _all(made, generator, directions), ["weights"]
        if worst_of(compared).verdict is Verdict.UNKNOWN:
            # all the same: those of a permutation sum to what they were, and gradients cancel
            made = replace(made, targets=made.targets[:1].expand_as(made.targets).clone())
            compared, moved = _all(made, generator, directions), ["weights", "targets"]
        reason = "not tested"
        if second and made.parameters and worst_of(compared).verdict is Verdict.PASS:
            reason = _add_second(made, generator, compared)
        failed = worst_of(compared).verdict is Verdict.FAIL
        curved = worst_of(compared).what == HESSIAN
        culprits = _culprits(made, generator) if failed and not curved else []
    return _finding(subject, made, compared, moved=moved, reason=reason, culprits=culprits)


def _all(made: Twin, generator: torch.Generator, directions: int) -> list[Compared]:
    """First derivatives along random directions in the weights, and in inputs that are floats."""
    kinds: list[tuple[str, Sequence[Tensor]]] = []
    if made.parameters:
        kinds.append(("the gradient in the weights", made.parameters))
    if made.inputs.is_floating_point():
        kinds.append(("the gradient in the inputs", [made.inputs.detach()]))
    require(
        bool(kinds),
        "taylor differentiates by weights that require a gradient and by inputs that are floats, "
        "and there are neither; unfreeze some weights",
    )
    return [_compared(made, what, at, generator) for what, at in kinds for _ in range(directions)]


def _compared(made: Twin, what: str, at: Sequence[Tensor], generator: torch.Generator) -> Compared:
    """One direction in some tensors: parameters of the copy, or its inputs."""
    along = [_direction(tensor, generator) for tensor in at]
    phi, gradient = _line(made, at, along)
    first, again = phi(0.0), phi(0.0)
    require(
        first == again,
        f"taylor needs an objective with one value, and found {first:.12g} and {again:.12g} for "
        "the same weights and inputs in eval mode; the check of determinism says where",
    )
    claimed = sum(float((g * d).sum()) for g, d in zip(gradient, along, strict=True))
    size = sum(
        float(g.square().sum() * d.square().mean()) for g, d in zip(gradient, along, strict=True)
    )
    return Compared(what, claimed, slope(phi, made.eps, grain=made.grain()), size**0.5)


def _direction(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Normal entries of the size of those of the tensor; of one that is all 0, of size 0.1."""
    drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    size = tensor.detach().square().mean().sqrt()
    return drawn.to(tensor) * torch.where(size > 0, size, torch.full_like(size, 0.1))


def _line(
    made: Twin, at: Sequence[Tensor], along: Sequence[Tensor]
) -> tuple[Callable[[float], float], tuple[Tensor, ...]]:
    """The objective along a direction, and its gradient at the beginning."""
    of_inputs = len(at) == 1 and not isinstance(at[0], torch.nn.Parameter)
    if of_inputs:
        leaf = at[0].clone().requires_grad_()
        gradient = _gradient(made.objective(leaf), [leaf])
        return lambda h: _value(made, at[0] + h * along[0]), gradient
    gradient = _gradient(made.objective(made.inputs), at)
    base = [p.detach().clone() for p in at]

    def phi(h: float) -> float:
        _move(at, base, along, h)
        value = _value(made, made.inputs)
        _move(at, base, along, 0.0)
        return value

    return phi, gradient


@torch.no_grad()
def _value(made: Twin, inputs: Tensor) -> float:
    """The objective; the sum of the losses is in float64 whatever they are in."""
    losses = made.losses(made.model(inputs), made.targets)
    return float(losses.double().mean() + made.penalty(inputs))


@torch.no_grad()
def _move(at: Sequence[Tensor], base: Sequence[Tensor], along: Sequence[Tensor], h: float) -> None:
    for p, b, d in zip(at, base, along, strict=True):
        p.copy_(b + h * d if h else b)


def _gradient(value: Tensor, at: Sequence[Tensor], *, graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient; zeros where the value does not depend on a tensor."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in at)
    return torch.autograd.grad(
        value, at, allow_unused=True, materialize_grads=True, create_graph=graph
    )


@torch.no_grad()
def _step_aside(made: Twin, generator: torch.Generator) -> None:
    """A twentieth of their size away, weights and inputs lie on no kink."""
    for p in made.parameters:
        p.add_(_direction(p, generator), alpha=0.05)
    if made.inputs.is_floating_point():
        made.inputs.copy_(made.inputs.clone() + 0.05 * _direction(made.inputs, generator))


def _add_second(made: Twin, generator: torch.Generator, compared: list[Compared]) -> str:
    """Compare a Hessian product with differences of the gradient, or say why not."""
    at = made.parameters
    along = [_direction(p, generator) for p in at]
    base = [p.detach().clone() for p in at]

    def dot(gradient: Sequence[Tensor]) -> Tensor:
        return torch.stack([(g * d).sum() for g, d in zip(gradient, along, strict=True)]).sum()

    def phi(h: float) -> float:
        _move(at, base, along, h)
        value = float(dot(_gradient(made.objective(made.inputs), at)))
        _move(at, base, along, 0.0)
        return value

    try:
        rate = dot(_gradient(made.objective(made.inputs), at, graph=True))
        product = _gradient(rate, at)
    except Exception as error:  # noqa: BLE001 - many operations have no second derivative
        return in_a_line(error)
    sizes = [g.square().sum() * d.square().mean() for g, d in zip(product, along, strict=True)]
    size = float(torch.stack(sizes).sum().sqrt())
    steps = range(6, round(-math.log2(made.eps) / 2) + 1, 2)
    pair = Compared(HESSIAN, float(dot(product)), slope(phi, made.eps, steps, made.grain()), size)
    if pair.verdict is Verdict.UNKNOWN:
        return f"kinks or rounding hide it: differences resolve it to {pair.error:.1g} only"
    compared.append(pair)
    return ""


def _culprits(made: Twin, generator: torch.Generator) -> list[str]:
    """The parameters whose own gradient is wrong, the worst first, at most five."""
    found = []
    for name, p in made.model.named_parameters():
        if p.requires_grad:
            pair = _compared(made, name, [p], generator)
            if pair.verdict is Verdict.FAIL:
                found.append((pair.value, name))
    return [name for _, name in sorted(found, reverse=True)[:5]]


def _finding(
    subject: Subject,
    made: Twin,
    compared: list[Compared],
    *,
    moved: list[str],
    reason: str,
    culprits: list[str],
) -> Finding:
    worst = worst_of(compared)
    failed = worst.verdict is Verdict.FAIL
    curved = failed and worst.what == HESSIAN
    if worst.verdict is Verdict.PASS:
        said = f"All derivatives agree with differences to {worst.interval[1]:.1g}"
        said += _elsewhere(moved)
    elif failed:
        said = (
            f"{worst.what[0].upper()}{worst.what[1:]} is wrong by {100 * worst.value:.3g} % of the "
            "slope"
        )
    else:
        said = (
            f"Differences give {worst.what} to {worst.error:.1g} only, so that nothing is shown in "
            f"{made.precision}"
        )
    return Finding(
        check="taylor",
        verdict=Verdict.WARN if curved else worst.verdict,
        statement=f"{said}; {_smoothness(compared, made)}.",
        value=worst.value,
        interval=worst.interval,
        unit="relative error of a slope",
        threshold=worst.threshold,
        where=", ".join(culprits),
        evidence={
            "examples": len(made.inputs),
            "precision": made.precision,
            "beside_the_weights": "weights" in moved,
            "one_target": "targets" in moved,
            "second_derivative": reason or "tested",
            "errors": [[pair.what, pair.value, pair.error] for pair in compared],
            "noise": max(pair.found.noise for pair in compared),
            "seed": subject.seed,
        },
        verified=f"slopes by autograd against central differences of {len(worst.found.steps)} "
        f"steps in {made.precision}, along {len(compared)} directions",
        remedy=_remedy(culprits, curved=curved) if failed else "",
        figures=(_figure(compared),),
    )


def _elsewhere(moved: list[str]) -> str:
    """Where it was measured, if not where it was asked for."""
    if "targets" in moved:
        return (
            "; measured beside the weights and with one target for all examples, since rounding "
            "hides the derivatives of a loss so near to 0"
        )
    return "; measured beside the weights, which lie on a kink" if moved else ""


def _remedy(culprits: list[str], *, curved: bool) -> str:
    if curved:
        return (
            "training by gradients is not affected, but methods of second order are, and so are "
            "the checks of curvature: write the backward of your own functions such that it can be "
            "differentiated (torch passes once_differentiable in silence here)"
        )
    return (
        "look at the backward of your own functions, at detach() and at .data on the way from "
        f"{culprits[0] if culprits else 'the inputs'} to the loss; a straight-through estimator "
        "is meant to differ"
    )


def _smoothness(compared: list[Compared], made: Twin) -> str:
    """At which steps the remainder is of order 2, or why it is not."""
    first = [pair for pair in compared if pair.what != HESSIAN]
    worst = worst_of(first)
    orders = [o for o in worst.found.orders(worst.claimed)[-8:] if not math.isnan(o)]
    if worst.verdict is Verdict.FAIL and orders:
        return f"the remainder is of order {statistics.median(orders):.2f} in the end, not 2"
    windows = [pair.found.window(pair.claimed) for pair in first]
    seen = [window for window in windows if window is not None]
    if len(seen) == len(first):
        low, high = max(w[1] for w in seen), min(w[0] for w in seen)
        return f"the remainder is of order 2 for steps from {low:.1g} to {high:.1g}"
    floors = [max(p.found.remainders(p.claimed)) <= 100 * p.found.noise for p in first]
    if all(floors) and worst.verdict is Verdict.PASS:
        return "there is no remainder but rounding: the objective is linear"
    hidden = f"in {len(first) - len(seen)} of {len(first)} directions"
    return f"{hidden} kinks, or rounding in {made.precision}, hide the order 2"


def _figure(compared: list[Compared]) -> Curves:
    """Remainders over steps."""
    lines = []
    named = set()
    for pair in compared:
        name = "" if pair.what in named else f"remainder of {pair.what}"
        named.add(pair.what)
        lines.append(Series(name, pair.found.steps, pair.found.remainders(pair.claimed)))
    steps = compared[0].found.steps
    top = compared[0].found.remainders(compared[0].claimed)[0]
    square = tuple(top * (h / steps[0]) ** 2 for h in steps)
    lines.append(Series("order 2", steps, square, faint=True))
    return Curves(
        "Taylor remainders",
        "step, relative to the weights",
        "remainder",
        tuple(lines),
        log_x=True,
        log_y=True,
        note="A wrong gradient leaves a line of slope 1; rounding a floor.",
    )


def _cost(subject: Subject, examples: int = 8, directions: int = 2, *, second: bool = True) -> int:
    kinds = bool(subject.parameters) + 1
    return forward(examples * directions * kinds * 65) + second * examples * 35


CHECK = Check(
    taylor,
    family="derivatives",
    question="Is the gradient that training uses the derivative of the objective?",
    cost=_cost,
    batch=8,
    settings={
        "quick": {"examples": 4, "directions": 1, "second": False},
        "standard": {},
        "deep": {"examples": 16, "directions": 6},
    },
)
