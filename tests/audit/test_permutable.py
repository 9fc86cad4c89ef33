import pytest
import torch
from tests.audit.zoo import VGG, made
from torch import nn

from wellposed.audit._permutable import permutable, permuted
from wellposed.errors import ArgumentError
from wellposed.models import LeNet


class Views(nn.Module):
    """Flattening as old code does it, functional activations, batch norm, a mean over pixels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.fc1 = nn.Linear(6 * 3 * 3, 5)
        self.ln = nn.LayerNorm(5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv1(x)))
        x = nn.functional.max_pool2d(self.conv2(x), 2)
        x = x.view(x.size(0), -1)
        return self.fc2(nn.functional.gelu(self.ln(self.fc1(x))))


@pytest.mark.parametrize(
    ("make", "shape", "layers"),
    [
        (
            lambda: made("vgg"),
            (3, 16, 16),
            ["features.0", "features.3", "features.6", "features.8"],
        ),
        (Views, (1, 8, 8), ["conv1", "conv2", "fc1"]),
        pytest.param(
            lambda: LeNet(shape=(1, 16, 16), classes=3),
            (1, 16, 16),
            ["features.0", "features.3"],
            marks=pytest.mark.wrong_types,  # proxies go through its forward function, not tensors
        ),
    ],
    ids=["vgg", "views", "lenet"],
)
def test_units_in_another_order_are_the_same_function(make, shape, layers):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().double().eval()
        for b in model.buffers():
            if b.is_floating_point():
                b.uniform_(0.5, 1.5)
        inputs = torch.randn(5, *shape).double()
        hidden = permutable(model)
        order = {h.layer: torch.randperm(h.units) for h in hidden}
    assert [h.layer for h in hidden][: len(layers)] == layers
    before = model(inputs)
    state = permuted(hidden, model.state_dict(), order)
    assert not torch.equal(state[f"{layers[0]}.weight"], model.state_dict()[f"{layers[0]}.weight"])
    model.load_state_dict(state)
    torch.testing.assert_close(model(inputs), before, rtol=1e-12, atol=1e-12)


def test_all_that_belongs_to_a_unit_moves_with_it():
    hidden = permutable(Views())
    assert hidden[0].beside == (
        "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"
    )  # fmt: skip
    assert hidden[2].beside == ("fc1.bias", "ln.weight", "ln.bias")
    assert [h.after for h in hidden] == ["conv2", "fc1", "fc2"]
    assert len(permutable(VGG())) == 5


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("resnet", "no chain: .* feeds 2 others, as in a residual network"),
        ("densenet", "no chain"),
        ("mobilenet", "grouped convolution|no chain"),
        ("vit", "cannot be followed symbolically|no chain|no layer that units"),
        ("lstm", "LSTM|Embedding|cannot be followed|no layer"),
        ("transformer", "cannot be followed|no chain|no layer|Embedding"),
    ],
)
def test_networks_that_are_no_chain_are_refused(kind, words):
    with pytest.raises(ArgumentError, match=words):
        permutable(made(kind))


def test_other_reasons_are_said_too(net):
    shared = nn.Linear(4, 4)
    for layers, words in (
        ((nn.Linear(4, 3),), "no hidden layer"),
        ((shared, nn.Tanh(), shared), "used twice"),
        ((nn.Linear(4, 4), nn.GroupNorm(2, 4), nn.Linear(4, 3)), "GroupNorm"),
        ((nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 3)), "Softmax"),
        ((nn.Conv2d(4, 4, 1), nn.LayerNorm((4, 2, 2)), nn.Conv2d(4, 3, 1)), "of shape"),
    ):
        with pytest.raises(ArgumentError, match=words):
            permutable(net(0, *layers))
