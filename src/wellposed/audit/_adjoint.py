"""Which module's backward is not the adjoint of its derivative?"""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from wellposed.audit._check import Check, forward
from wellposed.audit._compared import RESOLVED, Compared
from wellposed.audit._module_map import ModuleMap, innermost, module_calls
from wellposed.audit._slope import slope
from wellposed.audit._subject import Subject
from wellposed.audit._trace import Call
from wellposed.audit._twin import Twin, twin
from wellposed.errors import first_line, require
from wellposed.runs import Bars, Finding, Threshold, Verdict


@final
@dataclass(frozen=True)
class Probed:
    """The adjoint identity of one module.

    Args:
        name: Of the module.
        place: Its name and class.
        pair: By reverse mode, beside differences.
        ahead: By forward mode; None where it has none.
        size: How many numbers went into the products.
        eps: Of the arithmetic.
    """

    name: str
    place: str
    pair: Compared
    ahead: float | None
    size: int
    eps: float

    @property
    def rounding(self) -> float:
        """What two ways to the same product may differ by."""
        return 100 * self.eps * math.sqrt(self.size)

    @property
    def modes(self) -> float:
        """Relative difference of reverse and forward mode; 0 without the latter."""
        if self.ahead is None or self.rounding > RESOLVED:
            return 0.0
        return abs(self.pair.claimed - self.ahead) / self.pair.scale

    @property
    def verdict(self) -> Verdict:
        """FAIL if either disagrees; PASS if one agrees and none disagrees."""
        exact = self.ahead is not None and self.rounding <= RESOLVED
        if (exact and self.modes > self.rounding) or self.pair.verdict is Verdict.FAIL:
            return Verdict.FAIL
        return Verdict.PASS if exact else self.pair.verdict

    @property
    def threshold(self) -> Threshold:
        """Of the disagreement that decides."""
        if self.pair.verdict is Verdict.FAIL or self.modes <= self.rounding:
            return self.pair.threshold
        return Threshold(
            self.rounding, "above", "arithmetic", "100 eps sqrt(n), rounding of both inner products"
        )

    @property
    def interval(self) -> tuple[float, float]:
        """Of that disagreement."""
        if self.pair.verdict is Verdict.FAIL or self.modes <= self.rounding:
            return self.pair.interval
        return self.modes, self.modes


def adjoint(subject: Subject, *, examples: int = 4) -> Finding:
    r"""Test each module for itself: its backward has to be the adjoint of its derivative.

    For random u and v, with v in the inputs and the parameters of the module,

    $$\langle u, J v \rangle = \langle J^T u, v \rangle$$

    where $J^T u$ is by reverse mode and $J v$ by central differences, which know nothing of any
    backward. Where all operations have it, forward mode is a third way, exact up to rounding. (Two
    reverse passes would give $J v$ too, but by the backward under test.) A module that fails while
    everything inside it passes is the culprit; what fails in it, an input or a parameter, is told.
    Everything runs on a copy in float64 in eval mode.

    Args:
        subject: The network.
        examples: Inputs, at least 1.

    Cost: about 28 forward passes per example, times the depth to which modules are nested.

    Raises `ArgumentError` if the network cannot be copied.

    References:
        Griewank and Walther, Evaluating derivatives, 2008, section 3.3.
    """
    with subject.quiet():
        made = twin(subject, "adjoint", examples)
        calls = module_calls(made)
        probed, silent = [], []
        for call in calls:
            try:
                found = _twice(subject, made, call)
            except Exception as error:  # noqa: BLE001 - other modules can still be tested
                silent.append(f"{call.place}: {first_line(error)}")
                continue
            if isinstance(found, Probed):
                probed.append(found)
            elif found:
                silent.append(f"{call.place}: {found}")
        guilty = innermost(p.name for p in probed if p.verdict is Verdict.FAIL)
        parts = [
            part
            for call in calls
            if call.name in guilty
            for part in _parts(ModuleMap(call, subject.generator(f"adjoint {call.name}")), made)
        ]
    require(
        bool(probed),
        "adjoint found no module with inputs or parameters that are floats to test"
        + (f": {silent[0]}" if silent else ""),
    )
    unsure = [
        f"{p.place}: differences give it to {p.pair.error:.1g} only"
        for p in probed
        if p.verdict is Verdict.UNKNOWN
    ]
    return _finding(
        subject, probed, [p for p in probed if p.name in guilty], parts, silent + unsure
    )


def _twice(subject: Subject, made: Twin, call: Call) -> Probed | str:
    """The identity of one module; a failure is one only if another point and direction fail too."""
    found = _probed(ModuleMap(call, subject.generator(f"adjoint {call.name}")), made)
    if isinstance(found, Probed) and found.verdict is Verdict.FAIL:
        return _probed(ModuleMap(call, subject.generator(f"adjoint again {call.name}")), made, 1)
    return found


def _probed(module: ModuleMap, made: Twin, seed: int = 0, only: int | None = None) -> Probed | str:
    """The identity of one module, in all its tensors or in only one; or why not."""
    if not module.values:
        return ""
    generator = torch.Generator().manual_seed(seed)
    leaves = module.leaves()
    with torch.enable_grad():
        outputs = module(leaves)
    if not outputs or not any(y.requires_grad for y in outputs):
        return ""
    left = [_normal(y, generator) for y in outputs]
    right = [
        _normal(x, generator)
        * x.detach().square().mean().sqrt().clamp_min(1e-3)
        * (only in (None, i))
        for i, x in enumerate(leaves)
    ]

    @torch.no_grad()
    def phi(h: float) -> float:
        moved = [x.detach() + h * v for x, v in zip(leaves, right, strict=True)]
        return _dot(module(moved), left)

    if phi(0.0) != phi(0.0):
        return "it gives another value when asked again"
    pairs = [(y, u) for y, u in zip(outputs, left, strict=True) if y.requires_grad]
    pulled = torch.autograd.grad(
        [y for y, _ in pairs],
        leaves,
        [u for _, u in pairs],
        allow_unused=True,
        materialize_grads=True,
    )
    claimed = _dot(pulled, right)
    size = sum(
        float(g.square().sum() * v.square().mean()) for g, v in zip(pulled, right, strict=True)
    )
    steps = range(4, round(-math.log2(made.eps) / 2) + 1, 2 if made.eps < 1e-10 else 1)
    pair = Compared(module.call.place, claimed, slope(phi, made.eps, steps), size**0.5)
    count = sum(t.numel() for t in (*outputs, *leaves))
    ahead = _forward_mode(module, leaves, left, right)
    return Probed(module.call.name, module.call.place, pair, ahead, count, made.eps)


def _forward_mode(
    module: ModuleMap, leaves: list[Tensor], left: list[Tensor], right: list[Tensor]
) -> float | None:
    """<u, J v> by forward mode, or None where some operation has none."""
    try:
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(x.detach().clone(), v)
                for x, v in zip(leaves, right, strict=True)
            ]
            pushed = [forward_ad.unpack_dual(y).tangent for y in module(duals)]
    except Exception:  # noqa: BLE001 - a custom function without jvp, a cell of LSTM in mkldnn
        return None
    return sum(
        float((u * t).double().sum()) for u, t in zip(left, pushed, strict=True) if t is not None
    )


def _parts(module: ModuleMap, made: Twin) -> list[str]:
    """The inputs and parameters in which the identity of a module fails."""
    found = []
    for i, name in enumerate(module.names):
        one = _probed(module, made, only=i)
        if isinstance(one, Probed) and one.verdict is Verdict.FAIL:
            found.append(f"{module.call.name or 'the network'}, by {name}")
    return found


def _normal(tensor: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


def _dot(a: list[Tensor] | tuple[Tensor, ...], b: list[Tensor]) -> float:
    return float(sum((x.detach() * y).double().sum() for x, y in zip(a, b, strict=True)))


def _finding(
    subject: Subject,
    probed: list[Probed],
    guilty: list[Probed],
    parts: list[str],
    silent: list[str],
) -> Finding:
    order = [Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL]
    worst = max(guilty or probed, key=lambda p: (order.index(p.verdict), p.interval[1]))
    ahead = sum(p.ahead is not None for p in probed)
    if guilty:
        verdict = Verdict.FAIL
        said = (
            f"The backward of {', '.join(p.place for p in guilty[:3])} is not the adjoint of its "
            f"derivative: off by {100 * worst.interval[0]:.3g} % or more"
        )
    elif silent:
        verdict = Verdict.UNKNOWN
        said = f"{len(silent)} of {len(probed)} modules could not be tested: {silent[0]}"
    else:
        verdict = Verdict.PASS
        said = f"The backward of each of {len(probed)} modules is the adjoint of its derivative"
    return Finding(
        check="adjoint",
        verdict=verdict,
        statement=said + ".",
        value=max(worst.pair.value, worst.modes),
        interval=worst.interval,
        unit="relative error of <J'u, v>",
        threshold=worst.threshold,
        where="; ".join(parts or [p.place for p in guilty]),
        evidence={
            "modules": len(probed),
            "in_forward_mode": ahead,
            "not_tested": silent[:20],
            "rounding": max(p.modes for p in probed),
            "seed": subject.seed,
        },
        verified=f"reverse mode against central differences in {len(probed)} modules, and against "
        f"forward mode in {ahead}",
        remedy="write its backward anew, or leave it to autograd; a straight-through estimator is "
        "meant to differ"
        if guilty
        else "",
        figures=(_figure(probed),),
    )


def _figure(probed: list[Probed]) -> Bars:
    """Disagreements, the largest first."""
    shown = sorted(probed, key=lambda p: p.interval[1], reverse=True)[:20]
    return Bars(
        "Disagreement of <J'u, v> and <u, Jv>",
        tuple(p.place for p in shown),
        tuple(max(p.pair.value, p.modes, 1e-16) for p in shown),
        y_label="relative",
        log=True,
        note="The 20 largest; what differences do not resolve is included.",
    )


def _cost(subject: Subject, examples: int = 4) -> int:
    depth = max(name.count(".") + 1 for name, _ in subject.model.named_modules())
    return forward(28 * examples * (depth + 1))


CHECK = Check(
    adjoint,
    family="derivatives",
    question="Which module's backward is not the adjoint of its derivative?",
    cost=_cost,
    batch=4,
    settings={"standard": {}, "deep": {"examples": 16}},
)
