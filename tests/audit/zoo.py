"""Foreign networks: the architectures of public model zoos, small, with nothing of ours in them.

The names, the layers and the habits are the zoos': functional activations, modules used twice,
in-place operations, dropout, batch norm, integer tokens.
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional


class VGG(nn.Module):
    """Plain convolutions, max-pooling, a head with dropout."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (8, 0, 16, 0, 16, 16):
            if width == 0:
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(64, 32), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(32, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class BasicBlock(nn.Module):
    """The residual block of ResNet-18; one ReLU module is used twice."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """Two stages of residual blocks with batch norm; the first ReLU is a function."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2), BasicBlock(16, 16))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(torch.flatten(self.avgpool(self.layer2(self.layer1(x))), 1))


class DenseLayer(nn.Sequential):
    """Batch norm, ReLU, convolution, twice; the input is kept beside the output."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(inputs))
        self.add_module("relu1", nn.ReLU(inplace=True))
        self.add_module("conv1", nn.Conv2d(inputs, 2 * growth, 1, bias=False))
        self.add_module("norm2", nn.BatchNorm2d(2 * growth))
        self.add_module("relu2", nn.ReLU(inplace=True))
        self.add_module("conv2", nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], 1)


class DenseNet(nn.Module):
    """Two dense blocks with a transition between them."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            *(DenseLayer(8 + 4 * k, 4) for k in range(3)),
            nn.BatchNorm2d(20),
            nn.ReLU(inplace=True),
            nn.Conv2d(20, 10, 1, bias=False),
            nn.AvgPool2d(2),
            *(DenseLayer(10 + 4 * k, 4) for k in range(2)),
            nn.BatchNorm2d(18),
        )
        self.classifier = nn.Linear(18, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = functional.relu(self.features(x), inplace=True)
        return self.classifier(torch.flatten(functional.adaptive_avg_pool2d(features, (1, 1)), 1))


class InvertedResidual(nn.Module):
    """Widen, filter every channel for itself, narrow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 3 * inputs
        self.use_res_connect = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNet(nn.Module):
    """Inverted residuals behind a strided stem."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            InvertedResidual(8, 8, 1),
            InvertedResidual(8, 12, 2),
            InvertedResidual(12, 12, 1),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean([2, 3]))


class ViT(nn.Module):
    """A small vision transformer: patches, a class token, pre-norm encoder layers."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 24, 4, 4)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 24))
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(1, 17, 24))
        layer = nn.TransformerEncoderLayer(
            24, 3, 48, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.ln = nn.LayerNorm(24)
        self.head = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.pos_embedding
        return self.head(self.ln(self.encoder(x))[:, 0])


class LSTMClassifier(nn.Module):
    """Embedded tokens, a bidirectional LSTM, the last state of each direction."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.embedding = nn.Embedding(17, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(24, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.embedding(tokens))
        return self.fc(self.dropout(torch.cat([hidden[-2], hidden[-1]], 1)))


class TransformerClassifier(nn.Module):
    """A post-norm encoder layer on tokens, applied twice, and mean pooling."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.embed = nn.Embedding(17, 16)
        self.position = nn.Embedding(64, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.out = nn.Linear(16, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.out(self.block(self.block(x)).mean(1))


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "vgg": VGG,
    "resnet": ResNet,
    "densenet": DenseNet,
    "mobilenet": MobileNet,
    "vit": ViT,
}
TOKENS: dict[str, Callable[[], nn.Module]] = {
    "lstm": LSTMClassifier,
    "transformer": TransformerClassifier,
}
ZOO = IMAGES | TOKENS


def digits(kind: str, n: int = 1797) -> dict[str, tuple[Tensor, Tensor]]:
    """Handwritten digits as 3 x 16 x 16 images, or as 64 tokens of 17 gray levels."""
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:n]
    pixels, targets = torch.as_tensor(x)[order], torch.as_tensor(y)[order]
    if kind in TOKENS:
        inputs = pixels.long()
    else:
        small = pixels.float().view(-1, 1, 8, 8) / 16
        inputs = functional.interpolate(small, scale_factor=2.0).expand(-1, 3, -1, -1).contiguous()
    cut = [int(0.6 * n), int(0.2 * n), n - int(0.6 * n) - int(0.2 * n)]
    parts = zip(inputs.split(cut), targets.split(cut), strict=True)
    return dict(zip(("train", "validation", "test"), parts, strict=True))


def made(kind: str, seed: int = 0) -> nn.Module:
    """The network with the weights that its layers draw."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ZOO[kind]()


def trained(kind: str, epochs: int = 3, seed: int = 0) -> nn.Module:
    """The network after a short training on the digits."""
    model = made(kind, seed)
    inputs, targets = digits(kind)["train"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(64):
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
                optimizer.step()
    return model.eval()
