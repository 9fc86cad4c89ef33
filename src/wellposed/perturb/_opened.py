"""A network with its saturations taken away and its steps passed straight: what a search can climb.

References:
    Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security, 2018,
    arXiv:1802.00420 (backward pass differentiable approximation).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SATURATING = {"softmax", "log_softmax", "sigmoid", "logsigmoid"}  # their order is their argument's
_STEPS = {"round", "floor", "ceil", "trunc", "fix", "sign"}


@final
class Opened(nn.Module):
    """Another network, whose slopes lead where those of the first are zero.

    Softmax and sigmoid are left out, so that large logits keep their slope; rounding and sign are
    computed, and differentiated as if they were not there; `detach` does nothing. At the end of a
    network a softmax left out changes no decision. Elsewhere it does: whatever is found is to be
    shown to the network itself.

    Args:
        model: Is used, not changed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        """The outputs of the opened network."""
        with _Opening():
            return self.model(x)


class _Opening(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        given = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        first = args[0] if args else given.get("input")
        if not isinstance(first, Tensor) or not first.is_floating_point():
            return func(*args, **given)
        if name in _SATURATING or name == "detach":
            return first
        if name in _STEPS:
            start = first.clone()  # which the step may write into
            value = func(*args, **given)
            return start + (value - start).detach()
        return func(*args, **given)
