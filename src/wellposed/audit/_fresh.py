"""A copy of the network that has not been trained, for experiments that train one."""

import copy
from typing import Any

import torch
from torch import nn

from wellposed.audit._subject import Subject, weights_digest
from wellposed.errors import ArgumentError, in_a_line


def fresh(subject: Subject, check: str, seed: int = 0) -> tuple[nn.Module, str]:
    """A network like the subject's with weights from before training, and how it was made.

    By `subject.rebuild`; or else a copy whose modules draw their weights again; or else a copy with
    the initial weights.

    Args:
        subject: Whose network.
        check: Who asks, for the message.
        seed: Of the weights that are drawn.

    Raises:
        ArgumentError: If none of the three is possible, or what `rebuild` makes is trained.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if subject.rebuild is not None:
            return _apart(subject.rebuild(), subject, check), "rebuilt"
        model = copied(subject.model, check)
        stubborn = _reset(model)
    if not stubborn:
        return model, "weights drawn again"
    if subject.initial is not None:
        model.load_state_dict({**model.state_dict(), **dict(subject.initial)})
        return model, "initial weights"
    raise ArgumentError(
        f"{check} trains a fresh copy, and how {', '.join(stubborn[:3])} began is not known; "
        "give the subject rebuild=, a function that makes the model anew"
    )


def copied(model: nn.Module, check: str) -> nn.Module:
    """A deep copy without gradients.

    Raises:
        ArgumentError: If there is none.
    """
    try:
        found = copy.deepcopy(model)
    except Exception as error:
        raise ArgumentError(
            f"{check} trains a copy of the network, and copy.deepcopy cannot copy it: "
            f"{in_a_line(error)}; give the subject rebuild=, a function that makes the model anew"
        ) from error
    for parameter in found.parameters():
        parameter.grad = None
    return found


def _reset(model: nn.Module) -> list[str]:
    """Let every module draw its parameters again; the names of those that nobody draws."""
    drawn: set[int] = set()
    for module in model.modules():
        again: Any = getattr(module, "reset_parameters", None)
        again = again or getattr(module, "_reset_parameters", None)
        if callable(again):
            again()
            # attention draws the weights of its parts as well
            inner = module.parameters() if isinstance(module, nn.MultiheadAttention) else []
            drawn |= {id(p) for p in (*module.parameters(recurse=False), *inner)}
    return [name for name, p in model.named_parameters() if id(p) not in drawn]


def _apart(model: Any, subject: Subject, check: str) -> nn.Module:
    """What `rebuild` made, if it is another network than the subject's, on its device.

    Raises:
        ArgumentError: If it is not.
    """
    known = {p.data_ptr() for p in subject.model.parameters() if p.numel()}
    shares = isinstance(model, nn.Module) and any(p.data_ptr() in known for p in model.parameters())
    if not isinstance(model, nn.Module) or shares:
        raise ArgumentError(
            f"{check} trains what rebuild() makes, and it made "
            f"{'the very network that is examined' if shares else type(model).__name__}; it must "
            "make a new torch.nn.Module"
        )
    if weights_digest(model.state_dict()) == weights_digest(subject.model.state_dict()):
        raise ArgumentError(
            f"{check} needs a network from before training, and rebuild() made one with the very "
            "weights that are examined; let it make fresh ones"
        )
    return model.to(subject.device)
