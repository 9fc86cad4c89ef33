"""Networks that hide their gradients: none of them is robust, and all of them seem to be."""

import torch
from torch import nn


class Loud(nn.Module):
    """Logits times a factor: cross-entropy has no gradient in float32."""

    def __init__(self, model, factor=50.0):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x):
        return self.factor * self.model(x)


class Quantized(nn.Module):
    """Inputs rounded to a few levels: the gradient is zero everywhere."""

    def __init__(self, model, levels=16):
        super().__init__()
        self.model, self.levels = model, levels

    def forward(self, x):
        return self.model((x * self.levels).round() / self.levels)


class Saturated(nn.Module):
    """The same decisions through a steep sigmoid, in float32 0 or 1 for most inputs."""

    def __init__(self, model, steepness=200.0):
        super().__init__()
        self.model, self.steepness = model, steepness

    def forward(self, x):
        logits = self.model(x)
        middle = logits.topk(2, 1).values.mean(1, keepdim=True)
        return torch.sigmoid(self.steepness * (logits - middle))


class Noisy(nn.Module):
    """Random numbers on the inputs: each gradient is that of another network."""

    def __init__(self, model, noise=0.05):
        super().__init__()
        self.model, self.noise = model, noise

    def forward(self, x):
        return self.model(x + self.noise * torch.randn_like(x))


class Cold(nn.Module):
    """Probabilities at a low temperature: 0 or 1 in every precision, for most inputs."""

    def __init__(self, model, temperature=1e-3):
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, x):
        return torch.softmax(self.model(x) / self.temperature, 1)


MASKS = {"cold": Cold, "loud": Loud, "quantized": Quantized, "saturated": Saturated, "noisy": Noisy}
