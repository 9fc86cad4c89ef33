"""Modules in the style of public model zoos, small, each with a habit of its own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Make = Callable[[], nn.Module]


def head(channels: int, classes: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def images(*layers: nn.Module, channels: int = 6, classes: int = 4) -> nn.Sequential:
    """A convolution, some layers, and a head on what they leave."""
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), *layers, head(channels, classes))


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.layers)


class SqueezeExcitation(nn.Module):
    """A gate for each channel, computed from its mean."""

    def __init__(self, channels: int, gate: type[nn.Module]) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, 3, 1)
        self.fc2 = nn.Conv2d(3, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        scale = functional.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.fc2(functional.relu(self.fc1(scale))))


class ChannelShuffle(nn.Module):
    """Groups of channels are interleaved."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        x = x.view(n, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return x.view(n, -1, height, width)


class ShuffleUnit(nn.Module):
    """One half of the channels passes, the other is convolved; then they are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.shuffle = ChannelShuffle()

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return self.shuffle(torch.cat((first, self.branch(second)), dim=1))


class Inception(nn.Module):
    """Branches of several sizes side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(6, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(True), nn.Conv2d(2, 3, 3, padding=1))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), nn.Conv2d(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.pool(x)], 1)


class UNet(nn.Module):
    """Down, up again by a transposed convolution, and the fine map beside it."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.up = up
        self.last = nn.Conv2d(7, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        up = functional.relu(self.up(self.down(x)))
        return self.last(torch.cat([up, x], 1)).mean((2, 3))


class Highway(nn.Module):
    """A learned gate between a value and what is computed from it."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = nn.Linear(12, 12)
        self.gate = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * functional.relu(self.transform(x)) + (1 - gate) * x


class Maxout(nn.Module):
    """The larger of two linear functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(12, 12), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(self.one(x), self.two(x))


class Einsum(nn.Module):
    """A constant tensor contracted with the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(6, 6) / 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bchw,dc->bdhw", x, self.mix)


class Mixer(nn.Module):
    """Mixes places, then channels, by dense layers; without normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.places = nn.Linear(4, 4)
        self.channels = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))
        self.out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.places(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(x)
        return self.out(x.mean(dim=1))


class LayerScale(nn.Module):
    """The block of ConvNeXt: depthwise, then dense on channels last."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.LayerNorm(6) if norm else nn.Identity()
        self.wide, self.narrow = nn.Linear(6, 12), nn.Linear(12, 6)
        self.gamma = nn.Parameter(0.5 * torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Tokens look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return self.out(self.attention(tokens, tokens, tokens)[0].mean(1))


class Dictionary(nn.Module):
    """Logits in a dictionary, as segmentation models return them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = images()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.body(x)}


class Pair(nn.Module):
    """Logits and those of an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = images(), images()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.one(x), self.two(x)


class Branching(nn.Module):
    """The forward pass depends on the values of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.body = images()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if x.sum() > 0 else self.body(-x)


class Recurrent(nn.Module):
    """Rows of an image as a sequence."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.rnn = kind(24, 5, batch_first=True)
        self.out = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        return self.out(self.rnn(rows)[0][:, -1])


class Tokens(nn.Module):
    """Embedded integers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 5)
        self.out = nn.Linear(5, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.embedding(tokens).mean(1))


class Fourier(nn.Module):
    """Complex values on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.fft.fft(x).abs())


class Stateful(nn.Module):
    """Counts its calls, and adds the count."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.out(x) + self.calls


class Noisy(nn.Module):
    """Random even in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + 0.1 * torch.randn_like(x))


class Preprocessed(nn.Module):
    """Normalizes inside, as a model that takes raw images does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.body = images(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x - self.mean) / self.std)


class Functional(nn.Module):
    """Weights that are parameters of the module itself, functions for all else."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(12, 8) / 3)
        self.b1 = nn.Parameter(torch.zeros(8))
        self.w2 = nn.Parameter(torch.randn(8, 4) / 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.addmm(self.b1, x, self.w1)
        return functional.relu_(hidden).matmul(self.w2)


class InPlace(nn.Module):
    """Operations that overwrite their argument."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        y += x
        y.mul_(0.5).add_(0.1).clamp_(min=0)
        z = y.sub_(0.05)
        return self.two(z + y)


class Focus(nn.Module):
    """Every other place, four times, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 6, 3, padding=1)
        self.head = head(6)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.head(functional.silu(self.conv(torch.cat(parts, 1))))


class Coordinates(nn.Module):
    """Where a place is stands beside what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 6, 3)
        self.head = head(6)

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        rows = torch.linspace(-1, 1, height).view(1, 1, -1, 1).expand(n, 1, height, width)
        columns = torch.linspace(-1, 1, width).view(1, 1, 1, -1).expand(n, 1, height, width)
        return self.head(functional.relu(self.conv(torch.cat([x, rows, columns], 1))))


class WeightNormed(nn.Module):
    """Weights computed from parameters in the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.utils.parametrizations.weight_norm(nn.Linear(12, 8))
        self.two = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).relu())


def dense(*layers: nn.Module, inputs: int = 12) -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 12), *layers, nn.Linear(inputs, 4))


def flat(pool: nn.Module, features: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 3), pool, nn.Flatten(), nn.Linear(features, 4))


def overwritten(x: Tensor) -> Tensor:
    """Written into a part of a value that is read as a whole."""
    y = x * 2
    y[:, :6] += 1
    return y


@dataclass(frozen=True)
class Stranger:
    """One module: how it is made, what it takes, and what a refusal must name, if it is one."""

    make: Make
    shape: tuple[int, ...] = (3, 8, 8)
    refused: str = ""
    dtype: torch.dtype = torch.float32


VECTOR = (12,)
STRANGERS: dict[str, Stranger] = {}


def known(
    name: str,
    make: Make,
    shape: tuple[int, ...] = (3, 8, 8),
    refused: str = "",
    dtype: torch.dtype = torch.float32,
) -> None:
    STRANGERS[name] = Stranger(make, shape, refused, dtype)


# activations, in convolutional networks
for layer in (
    nn.ReLU6(inplace=True),
    nn.SiLU(),
    nn.GELU(),
    nn.Hardswish(inplace=True),
    nn.Hardsigmoid(),
    nn.Hardtanh(-0.5, 0.7),
    nn.Mish(),
    nn.ELU(inplace=True),
    nn.SELU(),
    nn.CELU(),
    nn.Softplus(),
    nn.LeakyReLU(0.2, inplace=True),
    nn.RReLU(),
    nn.Tanh(),
    nn.Sigmoid(),
):
    known(type(layer).__name__, lambda layer=layer: images(copy.deepcopy(layer)))
known("PReLU", lambda: images(nn.PReLU(6)))
known("GELU by tanh", lambda: images(nn.GELU("tanh")))
known("clamp", lambda: dense(Apply(lambda x: x.clamp(-0.4, 0.6))), VECTOR)
known("abs", lambda: dense(Apply(torch.abs)), VECTOR)
known("square", lambda: dense(Apply(lambda x: x**2)), VECTOR)
known("exp", lambda: dense(Apply(lambda x: torch.exp(-x))), VECTOR, "exp")
known("maxout", lambda: dense(Maxout()), VECTOR)

# gates
known("squeeze-excitation", lambda: images(nn.ReLU(), SqueezeExcitation(6, nn.Sigmoid)))
known("squeeze-excitation, hard", lambda: images(nn.SiLU(), SqueezeExcitation(6, nn.Hardsigmoid)))
known("highway", lambda: dense(Highway()), VECTOR)
known("glu", lambda: dense(nn.GLU(), inputs=6), VECTOR)
known("swish by hand", lambda: dense(Apply(lambda x: x * torch.sigmoid(x))), VECTOR)

# pooling
known("adaptive average", lambda: flat(nn.AdaptiveAvgPool2d(4), 96))
known("adaptive max", lambda: flat(nn.AdaptiveMaxPool2d(2), 24))
known(
    "adaptive max, overlapping", lambda: flat(nn.AdaptiveMaxPool2d(4), 96), refused="adaptive_max"
)
known("average, ceil_mode", lambda: images(nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True)))
known("average, padded", lambda: images(nn.ReLU(), nn.AvgPool2d(3, 2, 1, count_include_pad=False)))
known("average, divisor", lambda: images(nn.AvgPool2d(2, divisor_override=3)))
known("max, ceil_mode", lambda: images(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)))
known("max, padded", lambda: images(nn.ReLU(), nn.MaxPool2d(3, 2, 1)))
known("max, dilated", lambda: images(nn.MaxPool2d(2, 1, dilation=2)))
known(
    "max of all places",
    lambda: nn.Sequential(nn.Conv2d(3, 6, 3), Apply(lambda x: x.amax((2, 3))), nn.Linear(6, 4)),
)
known("power mean", lambda: images(nn.LPPool2d(2, 2)), refused="sign|pow")

# convolutions and padding
known(
    "dilated groups",
    lambda: images(nn.ReLU(), nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=3), nn.ReLU()),
)
for mode in ("reflect", "circular", "replicate"):
    known(
        f"padding, {mode}",
        lambda mode=mode: images(nn.Conv2d(6, 6, 3, padding=1, padding_mode=mode), nn.ReLU()),
    )
known("zeros around", lambda: images(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(6, 6, 3), nn.ReLU()))
known("halves around", lambda: images(nn.ConstantPad2d(1, 0.5), nn.Conv2d(6, 6, 3), nn.ReLU()))
known("same, even kernel", lambda: images(nn.Conv2d(6, 6, 2, padding="same"), nn.ReLU()))
known("transposed", lambda: UNet(nn.ConvTranspose2d(4, 4, 2, 2)))
known(
    "transposed, output padding",
    lambda: UNet(nn.ConvTranspose2d(4, 4, 3, 2, padding=1, output_padding=1)),
)
known("upsampling, nearest", lambda: UNet(nn.Upsample(scale_factor=2)))
known("upsampling, bilinear", lambda: UNet(nn.Upsample(scale_factor=2, mode="bilinear")))
known(
    "upsampling, aligned",
    lambda: UNet(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)),
    refused="upsample_bilinear2d",
)
known(
    "upsampling, bicubic",
    lambda: UNet(nn.Upsample(scale_factor=2, mode="bicubic")),
    refused="upsample_bicubic2d",
)
known(
    "pixel shuffle", lambda: images(nn.Conv2d(6, 8, 1), nn.PixelShuffle(2), nn.ReLU(), channels=2)
)
known(
    "three dimensions",
    lambda: nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 4)),
    (1, 4, 4, 4),
)
known(
    "signal",
    lambda: nn.Sequential(
        nn.Conv1d(3, 4, 3, padding=1),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(4, 4),
    ),
    (3, 8),
)

# what goes where
known("inception", lambda: images(nn.ReLU(), Inception(), nn.ReLU()))
known("shuffle unit", lambda: images(nn.ReLU(), ShuffleUnit()))
known("channel shuffle", lambda: images(nn.ChannelShuffle(2), nn.ReLU()))
known("focus", Focus)
known("coordinates", Coordinates)
known("einsum", lambda: images(nn.ReLU(), Einsum(), nn.ReLU()))
known("mixer", Mixer)
known("ConvNeXt without norm", lambda: images(LayerScale(norm=False)))

# normalization and dropout
known("ConvNeXt", lambda: images(LayerScale(norm=True)), refused="layer_norm")
known("group norm", lambda: images(nn.GroupNorm(2, 6)), refused="group_norm")
known("instance norm", lambda: images(nn.InstanceNorm2d(6)), refused="instance_norm")
known(
    "batch norm of the batch",
    lambda: images(nn.BatchNorm2d(6, track_running_stats=False)),
    refused="batch_norm",
)
known("batch norm of vectors", lambda: dense(nn.BatchNorm1d(12), nn.ReLU()), VECTOR)
known("local response", lambda: images(nn.LocalResponseNorm(2)), refused="pow|div")
known("dropouts", lambda: images(nn.Dropout2d(), nn.ReLU(), nn.AlphaDropout(), nn.Dropout(0.9)))
known("weight norm", WeightNormed, VECTOR)
known(
    "layer norm by hand",
    lambda: dense(Apply(lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True))),
    VECTOR,
    "std|div",
)
known("preprocessing", Preprocessed)

# sequences
known("attention", Attention, (6, 3, 3), "MultiheadAttention .attention. applies")
known("rnn", lambda: Recurrent(nn.RNN), refused="rnn_tanh")
known("lstm", lambda: Recurrent(nn.LSTM), refused="lstm")
known("gru", lambda: Recurrent(nn.GRU), refused="gru")
known("tokens", Tokens, (7,), "int64", torch.int64)

# outputs
known(
    "softmax at the end", lambda: nn.Sequential(dense(nn.ReLU()), nn.Softmax(1)), VECTOR, "softmax"
)
known(
    "log-softmax at the end",
    lambda: nn.Sequential(dense(nn.ReLU()), nn.LogSoftmax(1)),
    VECTOR,
    "log_softmax",
)
known("dictionary", Dictionary, refused="returns a dict")
known("pair", Pair, refused="returns 2 values")
known("map", lambda: nn.Conv2d(3, 4, 3), refused="needs? one vector of logits")
known("one logit", lambda: Apply(lambda x, layer: layer(x).squeeze(-1), nn.Linear(12, 1)), VECTOR)
known("number", lambda: Apply(lambda x, layer: layer(x).sum(), nn.Linear(12, 4)), VECTOR, "sum")

# programs
known("functions", Functional, VECTOR)
known("in place", InPlace, VECTOR)
known(
    "in place, of the input",
    lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(12, 4)),
    VECTOR,
)
known(
    "in place in a part", lambda: dense(Apply(overwritten)), VECTOR, "part of a value|copy_|fill_"
)
known("branching", Branching, refused="torch.export")
known("state", Stateful, VECTOR, "state|add_")
known("noise", Noisy, VECTOR, "randn_like")
known("complex", Fourier, VECTOR, "fft")
known(
    "bilinear",
    lambda: Apply(lambda x, layer: layer(x, x), nn.Bilinear(12, 12, 4)),
    VECTOR,
    "bilinear",
)
known(
    "weights from weights",
    lambda: Apply(
        lambda x, layer, size: layer(x) / size.weight.abs().sum(), nn.Linear(12, 4), nn.Linear(1, 1)
    ),
    VECTOR,
)
known("half precision", lambda: dense(nn.ReLU()).half(), VECTOR, "float16", torch.float16)
known("double precision", lambda: dense(nn.ReLU()).double(), VECTOR, dtype=torch.float64)
known("no weights", lambda: Apply(lambda x: x[:, :4] - x[:, 4:8]), VECTOR)


def made(name: str, seed: int = 0, scale: float = 1.0) -> nn.Module:
    """The module with random weights, `scale` times the usual, and batch norm as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = STRANGERS[name].make()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale)
    return model.eval()
