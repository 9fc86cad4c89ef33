"""Parameters as one vector, and a vector in the shapes of the parameters."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from wellposed.errors import require


def flatten(parts: Iterable[Tensor | None], like: Sequence[Tensor]) -> Float[Tensor, " n"]:
    """All entries in one new vector; a part that is None counts as zeros.

    The order is that of `like`, each tensor row by row, whatever its memory layout.

    Args:
        parts: One tensor, or None, per tensor of `like`, of its shape.
        like: The tensors, at least one, whose sizes say how many zeros a None stands for.

    Raises `ArgumentError` if a part is sparse.
    """
    pieces = []
    for part, shape in zip(parts, like, strict=True):
        whole = torch.zeros_like(shape) if part is None else part
        require(
            whole.layout == torch.strided,
            f"a gradient is sparse ({whole.layout}); one vector of all weights is dense, try "
            "sparse=False in the embedding",
        )
        pieces.append(whole.reshape(-1))
    return torch.cat(pieces)


def unflatten(vector: Float[Tensor, " n"], like: Sequence[Tensor]) -> list[Tensor]:
    """The pieces of a vector as views of it, in the shapes of `like`.

    Args:
        vector: Shape (n,), with as many entries as all of `like` together.
        like: The tensors whose shapes are wanted.

    Raises `ArgumentError` if the number of entries differs.
    """
    sizes = [t.numel() for t in like]
    require(
        vector.shape == (sum(sizes),),
        f"a vector of shape {tuple(vector.shape)} was given for {sum(sizes)} weights; it has one "
        "entry per weight",
    )
    return [piece.view(t.shape) for piece, t in zip(vector.split(sizes), like, strict=True)]
