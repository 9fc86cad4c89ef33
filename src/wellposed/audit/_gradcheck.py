"""Do layers of one's own pass torch's element by element test?"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from wellposed.audit._check import Check, forward
from wellposed.audit._module_map import ModuleMap, innermost, module_calls
from wellposed.audit._subject import Subject
from wellposed.audit._trace import Call
from wellposed.audit._twin import twin
from wellposed.errors import require
from wellposed.runs import Finding, Listing, Threshold, Verdict

ELEMENTS = 20_000
"""Up to so many entries of the Jacobian, each is tested; beyond, a random projection."""


def gradcheck(subject: Subject, *, examples: int = 2) -> Finding:
    """Run `torch.autograd.gradcheck` on every layer and function that is not torch's own.

    These are modules without parts of a class outside torch.nn, and the innermost modules in whose
    graph a `torch.autograd.Function` of one's own appears. Each is tested at the inputs it meets in
    a forward pass, slightly displaced, in float64, in inputs and parameters: every entry of a small
    Jacobian, and a random projection of a large one.

    Args:
        subject: The network.
        examples: Inputs, at least 1.

    Cost: a forward pass per example for each input and parameter of a small custom layer; a few for
    a large one; none without custom layers.

    Raises `ArgumentError` if the network cannot be copied, or not to float64.
    """
    with subject.quiet():
        made = twin(subject, "gradcheck", examples)
        calls = module_calls(made)
        own = [call for call in calls if not _of_torch(call.module)]
        maps = {c.name: ModuleMap(c, subject.generator(f"gradcheck {c.name}")) for c in own}
        functions = {name: _functions(module) for name, module in maps.items()}
        inside = innermost(name for name, found in functions.items() if found)
        leaves = [call.name for call in own if not any(call.module.children())]
        tested = [call for call in own if call.name in {*inside, *leaves}]
        require(
            not tested or made.precision == "float64",
            f"gradcheck needs float64, and the network computes in {made.precision} even when it "
            "is converted; let its layers follow the type of their inputs",
        )
        faults = {call.name: _fault(maps[call.name]) for call in tested}
    wrong = [call for call in tested if faults[call.name]]
    names = sorted({name for found in functions.values() for name in found})
    return _finding(tested, wrong, faults, names, len(calls))


def _of_torch(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] == "torch"


def _functions(module: ModuleMap) -> list[str]:
    """Names of the custom functions in the graph of a module's outputs."""
    with torch.enable_grad():
        outputs = module(module.leaves())
    todo: list[Any] = [y.grad_fn for y in outputs if y.grad_fn is not None]
    seen: set[Any] = set(todo)
    found: list[str] = []
    while todo:
        node = todo.pop()
        if isinstance(node, BackwardCFunction):
            found.append(type(node).__name__.removesuffix("Backward"))
        new = [n for n, _ in node.next_functions if n is not None and n not in seen]
        seen.update(new)
        todo.extend(new)
    return found


def _fault(module: ModuleMap) -> str:
    """What gradcheck says of a module; empty if it passes."""
    leaves = module.leaves()
    with torch.no_grad():
        entries = sum(map(torch.numel, leaves)) * sum(map(torch.numel, module(leaves)))
    if not leaves or not entries:
        return ""

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        return tuple(y for y in module(values) if y.requires_grad)

    if not run(*leaves):
        return ""
    try:
        torch.autograd.gradcheck(
            run, leaves, atol=1e-6, rtol=1e-5, fast_mode=entries > ELEMENTS, nondet_tol=1e-10
        )
    except Exception as error:  # noqa: BLE001 - a custom backward may raise anything
        return " ".join(str(error).split())[:300] or type(error).__name__
    return ""


def _finding(
    tested: list[Call], wrong: list[Call], faults: dict[str, str], functions: list[str], total: int
) -> Finding:
    if not tested:
        said = f"All layers are torch's own, in {total} modules, so there is nothing to test"
    elif not wrong:
        said = f"All {len(tested)} layers of your own pass torch's gradcheck"
    else:
        places = ", ".join(call.place for call in wrong[:5])
        said = f"{len(wrong)} of {len(tested)} layers of your own fail torch's gradcheck: {places}"
    return Finding(
        check="gradcheck",
        verdict=Verdict.FAIL if wrong else Verdict.PASS,
        statement=said + ".",
        value=float(len(wrong)),
        interval=(float(len(wrong)), float(len(wrong))),
        unit="layers",
        threshold=Threshold(
            0, "above", "arithmetic", "gradcheck's tolerance: 1e-6 and 1e-5 of the derivative"
        ),
        where=", ".join(call.name or "the network" for call in wrong),
        evidence={
            "tested": [call.place for call in tested],
            "functions": functions,
            "modules": total,
        },
        verified="each against central differences in float64" if tested else "",
        remedy="write the backward of these layers anew, or leave it to autograd; a "
        "straight-through estimator is meant to differ"
        if wrong
        else "",
        figures=_figures(wrong, faults),
    )


def _figures(wrong: Iterable[Call], faults: dict[str, str]) -> tuple[Listing, ...]:
    rows = tuple((call.place, faults[call.name]) for call in wrong)
    listing = Listing("What gradcheck says", ("layer", "fault"), rows, right=2)
    return (listing,) if rows else ()


def _cost(subject: Subject, examples: int = 2) -> int:
    # whether a module made of others has a function of one's own inside shows only when it runs
    own = [m for m in subject.model.modules() if not _of_torch(m) and not any(m.children())]
    return forward(examples * (4 + 2 * math.isqrt(ELEMENTS) * bool(own)))


CHECK = Check(
    gradcheck,
    family="derivatives",
    question="Do layers of your own pass torch's test of gradients?",
    cost=_cost,
    batch=2,
    settings={"standard": {}, "deep": {"examples": 4}},
)
