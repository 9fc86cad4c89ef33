"""Norms of a layer as the linear operator that it is, with its stride, padding and groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize

from wellposed.errors import ArgumentError
from wellposed.linalg._least_eigenvalue import least_eigenvalue

_DENSE = 1500
_CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class OperatorNorm:
    r"""The largest singular value of an operator, found from below.

    Args:
        value: $\|Av\|$ for a unit vector v, so the norm is at least this.
        residual: $\|A^\top A v - \sigma^2 v\| / \sigma^2$; some $\sigma_i^2$ is no further away,
            relative to it. 0 where the matrix was decomposed.
        products: Products with $A^\top A$ that it took.
    """

    value: float
    residual: float
    products: int


def operator_norm(
    operator: Callable[[Tensor], Tensor],
    like: Tensor,
    *,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> OperatorNorm:
    r"""The norm of a linear operator between Euclidean spaces, by products with $A^\top A$.

    Lanczos' iteration, which is power iteration that forgets nothing, on $A^\top A$; the
    transpose is that of reverse-mode differentiation.

    Args:
        operator: Linear and differentiable, from tensors like `like`.
        like: Says the shape, dtype and device of the argument.
        tolerance: Of the squared norm, relative to it.
        seed: Of the start.

    Cost: typically 20 to 60 products with the operator and as many with its transpose.
    """
    argument = like.detach().clone().requires_grad_()
    with torch.enable_grad():
        image = operator(argument)

    def minus_gram(vector: Tensor) -> Tensor:
        along = operator(vector.reshape(like.shape))
        [back] = torch.autograd.grad(image, argument, along.detach(), retain_graph=True)
        return -back.flatten()

    start = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)
    with torch.no_grad():
        if not minus_gram(start.flatten()).any():  # random: the operator is 0
            return OperatorNorm(0.0, 0.0, 1)
        found = least_eigenvalue(minus_gram, like.flatten(), tolerance=tolerance, seed=seed)
    square = max(-found.value, 0.0)
    relative = found.residual / square if square else 0.0
    return OperatorNorm(square**0.5, relative, found.products + 1)


def linear_part(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A dense or convolutional layer without its bias, as a function.

    Args:
        module: `nn.Linear`, or a convolution, transposed or not, in 1 to 3 dimensions.

    Raises:
        ArgumentError: If it is something else.
    """
    if not isinstance(module, (nn.Linear, *_CONVOLUTIONS)):
        raise ArgumentError(
            f"found a {type(module).__name__}; norms are known of dense and convolutional layers"
        )
    plain = _unparametrized(module)
    bias = module.bias
    if bias is None:
        return plain
    state = {"bias": torch.zeros_like(bias)}
    return lambda inputs: functional_call(plain, state, inputs)


def spectral_norm(module: nn.Module, shape: Sequence[int], *, seed: int = 0) -> OperatorNorm:
    """The largest factor by which a layer stretches the difference of two inputs.

    For a convolution this is the norm of the operator on inputs of this shape, with stride,
    padding, dilation and groups, and not that of its kernel as a matrix, which differs by up to
    the root of the kernel's size.

    Args:
        module: `nn.Linear`, or a convolution, transposed or not.
        shape: Of one input, without the batch.
        seed: Of the start.

    Cost: about 30 forward and backward passes of the layer for one example; a singular value
    decomposition for a dense layer with a side below 1,500.

    Raises `ArgumentError` for another module.

    References:
        Yoshida and Miyato, Spectral norm regularization for improving the generalizability of deep
        learning, 2017, arXiv:1705.10941; Sedghi, Gupta and Long, The singular values of
        convolutional layers, 2019, arXiv:1805.10408.
    """
    apply = linear_part(module)
    weight = module.weight.detach()  # type: ignore[operator]
    if isinstance(module, nn.Linear) and min(weight.shape) < _DENSE:
        return OperatorNorm(float(torch.linalg.matrix_norm(weight.double(), 2)), 0.0, 0)
    like = torch.zeros((1, *shape), dtype=weight.dtype, device=weight.device)
    return operator_norm(apply, like, seed=seed)


def row_norms(module: nn.Module, shape: Sequence[int], reference: Tensor | None = None) -> Tensor:
    r"""The Euclidean norm of every row of a layer's matrix: of the weights into each output.

    Their sum is $\|A^\top\|_{2,1}$. In closed form: the layer with squared weights, on ones.

    Args:
        module: `nn.Linear`, or a convolution that pads with zeros or circularly.
        shape: Of one input, without the batch.
        reference: Weights that are subtracted first, such as those before training.

    Returns one number per output, in the shape of the output, and raises `ArgumentError` for
    another module, or where padding makes one input count twice.
    """
    linear_part(module)  # refuses what is no linear layer
    module = _unparametrized(module)
    padding = getattr(module, "padding_mode", "zeros")
    weight = module.weight.detach()  # type: ignore[operator]
    if padding not in {"zeros", "circular"} or (padding == "circular" and _wraps(module, shape)):
        raise ArgumentError(
            f"a {type(module).__name__} with padding_mode={padding!r} lets one input count twice "
            "in an output; rows are known for padding with zeros"
        )
    change = weight if reference is None else weight - reference.to(weight)
    state = {"weight": change.square()}
    if module.bias is not None:
        state["bias"] = torch.zeros_like(module.bias)  # type: ignore[arg-type]
    ones = torch.ones((1, *shape), dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        squares: Tensor = functional_call(module, state, ones)
    return squares[0].clamp(min=0).sqrt()


def _unparametrized(module: nn.Module) -> nn.Module:
    """The layer, or one with its weights as they are now: to set parametrized ones changes more."""
    if not parametrize.is_parametrized(module):
        return module
    kind: Any = parametrize.type_before_parametrizations(module)
    plain: nn.Module = kind.__new__(kind)
    nn.Module.__init__(plain)
    plain.__dict__.update({k: v for k, v in vars(module).items() if k not in vars(plain)})
    for name in ("weight", "bias"):
        value = getattr(module, name)
        plain.register_parameter(name, None if value is None else nn.Parameter(value.detach()))
    return plain


def _wraps(module: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a kernel with its dilation reaches around the whole input."""
    kernel: tuple[int, ...] = module.kernel_size  # type: ignore[assignment]
    dilation: tuple[int, ...] = module.dilation  # type: ignore[assignment]
    sides = shape[-len(kernel) :]
    return any((k - 1) * d + 1 > n for k, d, n in zip(kernel, dilation, sides, strict=True))
