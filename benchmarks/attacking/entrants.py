"""Ours and the peers, each as its documentation says, on all images of a network in one call."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attacking.networks import Victim
from wellposed.perturb import PGD, Linf, Pool, ladder

STEPS, SHARE = 40, 0.01 / 0.3  # foolbox's own: steps of a thirtieth of the radius


@dataclass
class Found:
    """What a call found.

    Args:
        examples: One per image; whether it breaks is asked by the caller.
        remarks: What else it says, for the log.
    """

    examples: Tensor
    remarks: dict[str, Any] = field(default_factory=dict)


Call = Callable[[nn.Module, Victim, int], Found]
"""(counted model, what else belongs to it, seed) -> what was found."""


def ours(budget: str) -> Call:
    """A ladder; `autoattack` without the flags, which add nothing to its protocol."""

    def call(model: nn.Module, victim: Victim, seed: int) -> Found:
        found = ladder(
            model, victim.inputs, victim.labels, Linf(victim.eps), budget=budget, seed=seed,
            doubts=budget != "autoattack",
        )  # fmt: skip
        spent = {part.attack: [part.tried, part.broke] for part in found.spent}
        flags = list(found.suspicions.raised) if found.suspicions else []
        counted = {"gradients": found.gradients, "forwards": found.forwards}
        return Found(found.attacked[0].examples, {"flags": flags, "spent": spent, **counted})

    return call


def pyautoattack(model: nn.Module, victim: Victim, seed: int) -> Found:
    """AutoAttack's standard version, with its default batch of 250."""
    from pyautoattack import AutoAttack

    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    attack = AutoAttack(model, norm="Linf", eps=victim.eps, version="standard", seed=seed)
    with contextlib.redirect_stdout(None):
        found = attack.run_standard_evaluation(victim.inputs, victim.labels)
    return Found(found[0] if isinstance(found, tuple) else found)


def our_pgd(batch: int, precision: Any) -> Call:
    """PGD as it is, and in the format in which it searches faster."""

    def call(model: nn.Module, victim: Victim, seed: int) -> Found:
        attack = PGD(STEPS, step_size=SHARE * victim.eps)
        found = attack(
            model, victim.inputs, victim.labels, Linf(victim.eps), seed=seed,
            pool=Pool(batch, precision=precision),
        )  # fmt: skip
        return Found(found.examples)

    return call


def foolbox(model: nn.Module, victim: Victim, seed: int) -> Found:
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfPGD

    torch.manual_seed(seed)
    attack = LinfPGD(rel_stepsize=SHARE, steps=STEPS, random_start=True)
    wrapped = PyTorchModel(model, bounds=(0, 1), device="cpu")
    _, clipped, _ = attack(wrapped, victim.inputs, victim.labels, epsilons=victim.eps)
    return Found(clipped)


def torchattacks(model: nn.Module, victim: Victim, seed: int) -> Found:
    library: Any = import_module("torchattacks")

    torch.manual_seed(seed)
    attack = library.PGD(model, eps=victim.eps, alpha=SHARE * victim.eps, steps=STEPS)
    return Found(attack(victim.inputs, victim.labels))


def torchattacks_by_hand(model: nn.Module, victim: Victim, seed: int) -> Found:
    """What a user may do about it who knows that this processor has bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        return torchattacks(model, victim, seed)


def art(model: nn.Module, victim: Victim, seed: int) -> Found:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    np.random.seed(seed)  # noqa: NPY002 - where it draws its start
    torch.manual_seed(seed)
    shape = tuple(victim.inputs.shape[1:])
    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), shape, 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        wrapped, eps=victim.eps, eps_step=SHARE * victim.eps, max_iter=STEPS, num_random_init=1,
        batch_size=len(victim.inputs), verbose=False,
    )  # fmt: skip
    found = attack.generate(victim.inputs.numpy(), nn.functional.one_hot(victim.labels, 10).numpy())
    return Found(torch.from_numpy(found))


AUTOATTACK: dict[str, Call] = {
    "standard": ours("standard"),
    "pyautoattack": pyautoattack,
    "autoattack": ours("autoattack"),
}
PGDS: dict[str, Call] = {
    "wellposed": our_pgd(128, "float32"),
    "wellposed, bf16": our_pgd(256, "bf16"),
    "foolbox": foolbox,
    "torchattacks": torchattacks,
    "ART": art,
    "torchattacks, bf16 by hand": torchattacks_by_hand,
}


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    names = ("pyautoattack", "foolbox", "torchattacks", "adversarial-robustness-toolbox")
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
