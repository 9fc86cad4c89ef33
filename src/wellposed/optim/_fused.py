"""Torch's fused kernels, switched on where they compute what the optimizer says."""

from torch import Tensor
from torch.optim import Optimizer

from wellposed.optim._buckets import fusible, laid_out_as
from wellposed.optim._two_level import TwoLevel


def fuse(optimizer: Optimizer) -> None:
    """Switch on the fused kernel for each group that left it open and may be given to it.

    A fused kernel does the same update in one pass over the weights. It walks through memory and
    does not ask about strides, so a state that lies in another order than its parameter (made
    before the model was brought into channels_last) is laid out anew, and parameters with gaps or
    overlaps (slices) are left to the plain kernels. A relaxation decides for itself.

    Args:
        optimizer: With its parameters on the device and in the memory layout they shall have,
            none of which gets a sparse gradient: no fused kernel takes those.
    """
    if isinstance(optimizer, TwoLevel):
        return
    for group in optimizer.param_groups:
        for p in group["params"]:
            slots = optimizer.state.get(p, {})
            for name, value in slots.items():
                mirrors = isinstance(value, Tensor) and value.shape == p.shape
                if mirrors and value.stride() != p.stride():
                    slots[name] = laid_out_as(value, p, value.dtype)
        unchosen = group.get("fused", True) is None and group.get("foreach") is None
        if unchosen and all(map(fusible, group["params"])):
            group["fused"] = True
