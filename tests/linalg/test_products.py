"""Products over batches of any size, on models of any kind, in every way that is open."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from wellposed.errors import ArgumentError
from wellposed.linalg import curvature, flatten, random_start
from wellposed.linalg._recorded import _Recorder

LOSS = nn.CrossEntropyLoss(reduction="none")
TANH = torch.ops.aten.tanh_backward.default


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2)
        self.two.weight = self.one.weight
        self.two.bias.requires_grad_(requires_grad=False)

    def forward(self, x):
        return self.two(torch.tanh(self.one(x)))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.cells(x[:, None].expand(-1, 3, -1))[0][:, -1])


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        h = self.layer(x)
        return h * h if h.sum().item() > -1e9 else h


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 5), nn.Tanh())
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        return self.head(checkpoint(self.inner, x, use_reentrant=False))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.block(self.words((x.abs() * 3).long().clamp(max=6))).mean(1)


class Mixed(nn.Module):
    """Weights of two precisions, and a constant that is made on the way."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 4).double()

    def forward(self, x):
        return self.two(torch.tanh(self.one(x * torch.tensor(0.5))).double())


def between(*layers):
    return lambda: nn.Sequential(nn.Linear(4, 6), *layers, nn.Linear(6, 4))


MODELS = {
    "tanh": (between(nn.Tanh()), "recorded"),
    "relu in place, dropout, batch norm in eval": (
        between(nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Dropout()), "recorded",
    ),
    "layer norm, gelu": (between(nn.LayerNorm(6), nn.GELU()), "recorded"),
    "group norm, silu, mish": (between(nn.GroupNorm(2, 6), nn.SiLU(), nn.Mish()), "recorded"),
    "convolution, max pooling": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(3, 4),
        ),
        "recorded",
    ),
    "tied, frozen and unused": (Tied, "recorded"),
    "attention": (Attention, "recorded"),
    "precisions": (Mixed, "recorded"),
    "a branch on a number": (Branch, "recorded"),
    "lstm": (Lstm, "kept"),
    "checkpointing": (Checkpointed, None),
}  # fmt: skip


def made(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return MODELS[name][0]().eval()


def batches(*sizes):
    generator = torch.Generator().manual_seed(0)
    n = sum(sizes)
    x, y = torch.randn(n, 4, generator=generator), torch.arange(n) % 4
    return list(zip(x.split(list(sizes)), y.split(list(sizes)), strict=True))


def oracle(model, data, vector):
    """By two backward passes through the mean over all examples at once."""
    x, y = (torch.cat(part) for part in zip(*data, strict=True))
    params = [p for p in model.parameters() if p.requires_grad]
    with sdpa_kernel(SDPBackend.MATH):
        value = nn.functional.cross_entropy(model(x), y)
        grads = torch.autograd.grad(value, params, create_graph=True, allow_unused=True)
        slope = flatten(grads, params) @ vector
        return flatten(torch.autograd.grad(slope, params, allow_unused=True), params)


@pytest.mark.parametrize("name", MODELS)
def test_on_batches_of_any_size_it_is_that_of_all_examples(name):
    sizes = (8, 3) if name == "tanh" or MODELS[name][1] != "recorded" else (6, 6)
    model, data = made(name), batches(*sizes)
    found = curvature(model, LOSS, data)
    assert found.mode == (MODELS[name][1] or found.mode)
    assert found.agreement.verified, str(found.agreement)
    for seed in (0, 1):  # the first is the probe, whose product is known
        v = random_start(found.probe, seed)
        expected = oracle(model, data, v)
        torch.testing.assert_close(found(v), expected, rtol=1e-4, atol=2e-6)
    assert found.products == 2
    assert all(p.grad is None for p in model.parameters())


def test_every_way_gives_the_same():
    model, data = made("layer norm, gelu"), batches(5, 2)
    v = random_start(torch.zeros(70), 5)
    expected = oracle(model, data, v)
    for mode in ("recorded", "forward", "kept", "rebuilt"):
        for memory in (1 << 30, 0):
            if mode != "forward" or memory:
                found = curvature(model, LOSS, data, modes=[mode], memory=memory)
                torch.testing.assert_close(found(v), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["gauss-newton", "fisher", "empirical-fisher"])
def test_the_other_matrices_are_positive_and_verified(kind):
    found = curvature(made("tanh"), LOSS, batches(7, 3), kind)
    assert found.agreement.verified
    assert found.agreement.difference < 1e-6
    v = random_start(found.probe, 4)
    assert float(v @ found(v)) > 0


def test_a_penalty_counts():
    model, data = made("tanh"), batches(4, 3)
    bare = curvature(model, LOSS, data, modes=["forward"])
    full = curvature(
        model, LOSS, data, modes=["forward"],
        penalty=lambda m, *_: 0.35 * sum(p.square().sum() for p in m.parameters()),
    )  # fmt: skip
    v = random_start(bare.probe, 2)
    torch.testing.assert_close(full(v), bare(v) + 0.7 * v)


class Cube(torch.autograd.Function):
    """x^3 with a wrong second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return g * 3 * ctx.saved_tensors[0].detach() ** 2


class Wrong(nn.Module):
    def forward(self, x):
        return Cube.apply(x)


def test_a_wrong_second_derivative_is_refused():
    model = nn.Sequential(nn.Linear(4, 5), Wrong(), nn.Linear(5, 4))
    with pytest.raises(ArgumentError, match=r"trusted.*kept, rebuilt: disagrees with finite"):
        curvature(model, LOSS, batches(6))


def test_what_no_way_can_do_is_said_once():
    class Never(nn.Module):
        def forward(self, x):
            raise RuntimeError(f"no luck today with {x.dtype}")

    with pytest.raises(ArgumentError, match="no luck today") as caught:
        curvature(nn.Sequential(nn.Linear(4, 4), Never()), LOSS, batches(6))
    assert str(caught.value).count("no luck") == 1
    assert "recorded, forward, kept, rebuilt: RuntimeError" in str(caught.value)


@pytest.mark.wrong_types
def test_bad_input_is_one_sentence():
    model = made("tanh")
    with pytest.raises(ArgumentError, match="over no examples"):
        curvature(model, LOSS, [])
    with pytest.raises(ArgumentError, match="no matrix is called 'jacobian'"):
        curvature(model, LOSS, batches(3), "jacobian")
    with pytest.raises(ArgumentError, match="reduction='none'"):
        curvature(model, nn.CrossEntropyLoss(), batches(3))


def test_the_first_product_is_verified_with_a_vector_that_was_not_recorded(monkeypatch):
    # Whatever a recording keeps of its own vector by mistake looks right along that one.
    monkeypatch.setattr(_Recorder, "_vanishes", lambda *given: given[1] is TANH)
    found = curvature(made("tanh"), LOSS, batches(6))
    assert found.mode == "forward"


def test_a_convolution_of_dead_units_has_a_bias():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.Tanh(),
        nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip
    nn.init.constant_(model[1].bias, -100.0)
    data = batches(6, 6, 3)
    found = curvature(model, LOSS, data)
    v = random_start(found.probe, 5)
    torch.testing.assert_close(found(v), oracle(model, data, v), rtol=1e-4, atol=1e-6)


def test_batches_may_lie_in_memory_in_any_order():
    model = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten(0), nn.Unflatten(0, (-1, 4)))
    model = nn.Sequential(model, nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4))
    (one, two), v = batches(6, 6), random_start(torch.zeros(49), 5)
    data = [one, (two[0].t().contiguous().t(), two[1])]
    found = curvature(model, LOSS, data)
    assert found.mode == "recorded"
    torch.testing.assert_close(found(v), oracle(model, data, v), rtol=1e-4, atol=1e-6)


class Overwritten(nn.Module):
    def forward(self, x):
        h = torch.tanh(x)
        h[:, 0].mul_(2)  # the derivative of tanh is computed from its value
        return h


def test_a_value_that_is_overwritten_is_not_differentiated():
    with pytest.raises(ArgumentError, match="kept: RuntimeError: a tensor that the gradient needs"):
        curvature(nn.Sequential(nn.Linear(4, 4), Overwritten()), LOSS, batches(6))
