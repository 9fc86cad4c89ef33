"""What every initializer is, and which layers it sets."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Initializer(ABC):
    """Sets the weights of a network before training, in place.

    A subclass is a frozen dataclass. All randomness comes from the generator it is handed, so
    that equal generators give equal weights; torch's global generator is neither read nor moved.
    """

    @abstractmethod
    def __call__(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch ..."] | None,
        generator: torch.Generator,
    ) -> None:
        """Set the weights.

        Args:
            model: The network, on the CPU.
            inputs: Some training inputs, for initializers that look at the data; or None.
            generator: Where all random numbers come from.
        """


class LayerInitializer(Initializer):
    """Sets each linear and convolution layer on its own; biases become zero, the rest stays."""

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        inputs: Float[Tensor, "batch ..."] | None,  # noqa: ARG002 - the data are not looked at
        generator: torch.Generator,
    ) -> None:
        """Set the weights of all linear and convolution layers, in the order of `modules()`."""
        layers = [layer for layer in model.modules() if isinstance(layer, LAYERS)]
        name = type(self).__name__
        require(
            len(layers) > 0,
            f"{name} sets linear and convolution layers, but {type(model).__name__} has none; "
            "leave its weights to init.Default",
        )
        for layer in layers:
            self.fill(layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    @abstractmethod
    def fill(self, weight: Tensor, generator: torch.Generator) -> None:
        """Fill one weight, shape (outputs, inputs) or (outputs, channels, *kernel), in place."""
