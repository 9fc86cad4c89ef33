"""Gradient scaling of float16 for optimizers whose steps must be counted, skipped or not."""

import torch
from torch.optim import Optimizer


def skips(optimizer: Optimizer) -> bool:
    """Whether a gradient scaler found infinities in this step; if not, gradients are unscaled.

    A `torch.amp.GradScaler` leaves out the steps of an ordinary optimizer whose gradients have
    overflowed. Replicas would then count differently, and wait for each other for ever. It calls
    the step in any case, and says what it found, if the optimizer has `_step_supports_amp_scaling`.
    """
    found = getattr(optimizer, "found_inf", None)
    if found is None:
        return False
    if found.item() != 0:
        return True
    scale = getattr(optimizer, "grad_scale", None)
    if scale is not None:
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if grads:
            torch._foreach_mul_(grads, scale.double().reciprocal().float())
    return False
