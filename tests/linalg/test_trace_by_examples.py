"""The trace with a vector for each example against exact Hessians, and what is refused."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.linalg import MeanLoss, Trace, curvature, trace, trace_by_examples
from wellposed.linalg._trace_by_examples import _ByExamples

EACH = nn.CrossEntropyLoss(reduction="none")


class Scaled(nn.Module):
    """A weight that no layer knows, a layer that is called twice, and a frozen bias."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5, 1.5, -1.0]))
        self.layer, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
        self.layer.bias.requires_grad_(requires_grad=False)

    def forward(self, x):
        x = torch.tanh(self.layer(self.scale * x))
        return self.last(torch.tanh(self.layer(x)))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(torch.tanh(self.one(x)))


class Tokens(nn.Module):
    """A linear layer on (batch, tokens, channels), and one on (batch * tokens, channels)."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.one(torch.stack([x, x.flip(1), x**2], 1)))
        x = torch.tanh(self.two(x.flatten(0, 1))).view(x.shape)
        return self.last(x.mean(1))


class Transposed(nn.Module):
    """As many tokens as examples, and a layer that finds the tokens in the first axis."""

    def __init__(self):
        super().__init__()
        self.one, self.last = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x):
        tokens = torch.stack([x.roll(k, 1) * (k + 1) for k in range(8)])
        return self.last(torch.tanh(self.one(tokens)).mean(0))


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 1, 3)),
        nn.Conv2d(1, 4, (1, 2), padding=(0, 1), padding_mode="circular"),
        nn.Tanh(), nn.Conv2d(4, 4, 1, groups=2, bias=False), nn.Softplus(), nn.Flatten(),
        nn.LazyLinear(3),
    )  # fmt: skip


def normalized():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3))


MODELS = {
    "perceptron": lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)),
    "convolutions": convolutions,
    "weights of no layer": Scaled,
    "tied weights": Tied,
    "tokens": Tokens,
    "batch norm, eval": lambda: normalized().eval(),
    "rectified": lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3)),
}


def data(n=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    return x, torch.randint(0, 3, (n,), generator=generator)


def made(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    model(torch.zeros(2, 3))  # lazy layers get their shapes
    return model.double()


def exact(model, x, y):
    mean = MeanLoss(model, EACH)
    constants = list(mean.constants().values())
    objective = mean.functional(mean.objective, constants)
    names = [p.detach() for p in mean.params]

    def flat(vector):
        parts = vector.split([p.numel() for p in names])
        return objective([v.view(p.shape) for v, p in zip(parts, names, strict=True)], x, y)

    point = torch.cat([p.reshape(-1) for p in names])
    return float(torch.func.hessian(flat)(point).trace())


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_exact_trace_within_four_errors(name):
    model, (x, y) = made(name), data()
    truth = exact(model, x, y)
    found = trace_by_examples(model, EACH, [(x[:5], y[:5]), (x[5:], y[5:])], passes=400, seed=3)
    assert abs(found.value - truth) < 4 * found.error
    assert found.error < 0.1 * abs(truth)


@pytest.mark.parametrize("name", MODELS)
def test_every_example_has_a_vector_of_its_own(name):
    # The check of the first batch, here of all examples.
    model, (x, y) = made(name), data()
    by = _ByExamples(MeanLoss(model, EACH), torch.Generator().manual_seed(1))
    along, vectors = by.along(x, y), by.vectors()
    drawn = along(vectors)[0]
    assert drawn.shape == (8,)
    again = along([-v for v in vectors])[0]
    torch.testing.assert_close(drawn, again, rtol=1e-12, atol=0)


def test_many_examples_have_less_variance_than_one_vector_for_all():
    # Sixteen times the same example: one vector for all sees one matrix, the others average.
    model, (x, y) = made("perceptron"), data(1)
    batch = [(x.expand(16, -1), y.expand(16))]
    each = trace_by_examples(model, EACH, batch, passes=1500)
    product = curvature(model, EACH, batch)
    one = trace(product.parts, product.probe, probes=1500)
    assert (each.error / one.error) ** 2 == pytest.approx(1 / 16, rel=0.25)


def test_an_interval_covers_the_trace_as_often_as_it_says():
    # 95 % of 300, standard deviation 3.8.
    model, (x, y) = made("perceptron"), data()
    truth = exact(model, x, y)
    by = _ByExamples(MeanLoss(model, EACH), torch.Generator().manual_seed(5))
    along = by.along(x, y)
    covered = 0
    for _ in range(300):
        samples = [float(along(by.vectors())[0].mean()) for _ in range(6)]
        low, high = Trace(torch.tensor(samples, dtype=torch.float64).numpy()).interval(0.95)
        covered += low <= truth <= high
    assert 270 <= covered <= 298


def test_the_model_and_the_random_numbers_are_as_before():
    model, (x, y) = made("convolutions"), data()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    first = trace_by_examples(model, EACH, [(x, y)], seed=7)
    second = trace_by_examples(model, EACH, [(x, y)], seed=7)
    assert torch.equal(state, torch.get_rng_state())
    assert (first.samples == second.samples).all()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not [m for m in model.modules() if "forward" in vars(m)]
    assert all(p.grad is None for p in model.parameters())


class Square(torch.autograd.Function):
    """Without a derivative in forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


class Squared(nn.Module):
    def forward(self, x):
        return Square.apply(x)


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


REFUSED = {
    "examples mixed": (lambda: nn.Sequential(nn.Linear(3, 3), Centred()), "mixes examples"),
    "running statistics": (normalized, "forward mode"),
    "tokens taken for examples": (Transposed, "mixes examples"),
    "a function of one's own": (lambda: nn.Sequential(nn.Linear(3, 3), Squared()), "forward mode"),
    "no forward mode": (lambda: nn.Sequential(nn.LSTM(3, 3), First()), "forward mode"),
}


class First(nn.Module):
    def forward(self, x):
        return x[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_verified_is_refused_in_a_sentence(name):
    make, words = REFUSED[name]
    torch.manual_seed(0)
    with pytest.raises(ArgumentError, match=words) as error:
        trace_by_examples(make().double(), EACH, [data()])
    assert "\n" not in str(error.value)
    assert "linalg.trace" in str(error.value)


def test_a_batch_of_dead_units_does_not_vouch_for_the_next():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Centred(), nn.Linear(4, 3))
    nn.init.constant_(model[0].bias, -5.0)
    model[3].requires_grad_(requires_grad=False)
    model, (x, y) = model.double(), data()
    with pytest.raises(ArgumentError, match="mixes examples"):
        trace_by_examples(model, EACH, [(0 * x, y), (100 * x, y)])


class Mute(nn.Module):
    def forward(self, _):
        raise ValueError


def test_an_error_without_words_is_named_by_its_type():
    model = nn.Sequential(nn.Linear(3, 3), Mute()).double()
    with pytest.raises(ArgumentError, match=r"forward mode \(ValueError\)"):
        trace_by_examples(model, EACH, [data()])


def test_bad_arguments_are_named():
    model, (x, y) = made("perceptron"), data()
    with pytest.raises(ArgumentError, match="at least 2 passes, got 1"):
        trace_by_examples(model, EACH, [(x, y)], passes=1)
    with pytest.raises(ArgumentError, match="no examples"):
        trace_by_examples(model, EACH, [(x[:0], y[:0])])
