import pytest
import torch
from torch import nn

from wellposed.audit import Subject


@pytest.fixture
def net():
    """A small classifier whose seed and layers may be chosen."""

    def make(seed=0, *layers):
        torch.manual_seed(seed)
        made = layers or (nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        return nn.Sequential(*made)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for the layers that a test makes itself
        yield make


@pytest.fixture
def blobs():
    """Examples of three classes, shape (n, 4), that a small net can tell apart."""

    def make(n=60, seed=0):
        generator = torch.Generator().manual_seed(seed)
        targets = torch.arange(n) % 3
        inputs = torch.randn(n, 4, generator=generator)
        inputs[torch.arange(n), targets] += 3
        return inputs, targets

    return make


@pytest.fixture
def subject(net, blobs):
    """A network, never trained, with a train and a test part."""

    def make(model=None, seed=0, **more):
        data = more.pop("data", {"train": blobs(60, 1), "test": blobs(30, 2)})
        return Subject(model if model is not None else net(seed), data, **more)

    return make


class TimesFactor(torch.autograd.Function):
    """tanh, whose backward is off by a factor."""

    @staticmethod
    def forward(ctx, inputs, factor):
        output = torch.tanh(inputs)
        ctx.save_for_backward(output)
        ctx.factor = factor
        return output

    @staticmethod
    def backward(ctx, gradient):
        (output,) = ctx.saved_tensors
        return gradient * (1 - output**2) * ctx.factor, None


class Tanh(nn.Module):
    """tanh with a backward of its own."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, inputs):
        return TimesFactor.apply(inputs, self.factor)


class NoBiasGradient(nn.Linear):
    """A layer whose bias is cut off from the gradient."""

    def forward(self, inputs):
        return nn.functional.linear(inputs, self.weight, self.bias.detach())


class HalfDetached(nn.Module):
    """The identity, half of which no gradient passes."""

    def forward(self, inputs):
        return (inputs + inputs.detach()) / 2


class Residual(nn.Module):
    """A residual block that writes into its input."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.rectify = nn.ReLU(inplace=True)

    def forward(self, inputs):
        return self.rectify(inputs + self.norm(self.first(inputs)))


class Recurrent(nn.Module):
    """A classifier of sequences of integers."""

    def __init__(self):
        super().__init__()
        self.embed, self.cells = nn.Embedding(10, 5), nn.LSTM(5, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens):
        return self.head(self.cells(self.embed(tokens))[0][:, -1])


class Transformer(nn.Module):
    """A small transformer on integers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        return self.head(self.body(self.embed(tokens)).mean(1))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(48, 10), nn.ReLU(), nn.Dropout(0.5), nn.Linear(10, 3),
    )  # fmt: skip


def resnet():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), Residual(3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3),
    )  # fmt: skip


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3))


ARCHITECTURES = {
    "lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": Recurrent, "transformer": Transformer,
}  # fmt: skip


@pytest.fixture(params=list(ARCHITECTURES))
def healthy(request):
    """A network that was trained a little and is well, of one of five architectures."""

    def make(seed=0, steps=50):
        torch.manual_seed(seed)
        model = ARCHITECTURES[request.param]().train()
        targets = torch.arange(96) % 3
        if request.param in ("lstm", "transformer"):
            inputs = torch.randint(0, 10, (96, 6))
            inputs[:, -1] = targets
        else:
            inputs = torch.rand(96, 1, 8, 8)
            inputs[inputs < 0.5] = 0  # black pixels, as pictures have
            for c in range(3):
                inputs[targets == c, :, 2 * c : 2 * c + 2] += 0.7
        descent = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        for step in range(steps):
            descent.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
            rows = torch.randperm(96)[:32]
            descent.zero_grad()
            nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            descent.step()
        descent.zero_grad()
        return Subject(model, {"train": (inputs, targets), "test": (inputs, targets)}, seed=seed)

    with torch.random.fork_rng(devices=[]):
        yield make


@pytest.fixture
def faulty(subject, net):
    """A network with a planted fault between two layers."""

    def make(kind, *args):
        layer = {"tanh": Tanh, "bias": NoBiasGradient, "detached": HalfDetached}[kind](*args)
        return subject(net(0, nn.Linear(4, 6), layer, nn.Linear(6, 3)))

    return make
