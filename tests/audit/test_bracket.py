import pytest
import torch
from tests.perturb.masked import Noisy, Quantized
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.audit import Bracket, bracket
from wellposed.audit import _bracket as module
from wellposed.certify import Certified
from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.perturb import FGSM, Pool, Rung

DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}
RADII = {"linf": [0.01, 0.03], "l2": [0.05, 0.15], "l1": [0.1, 0.4]}
SOME = X[:40], Y[:40]


@pytest.mark.parametrize("norm", DUAL)
def test_of_a_linear_classifier_both_ends_are_its_robust_accuracy(norm):
    torch.manual_seed(0)
    model = nn.Linear(12, 3)
    x = torch.rand(80, 12)
    labels = model(x).argmax(1)
    labels[::10] = (labels[::10] + 1) % 3
    w, z = model.weight.detach().double(), model(x).detach().double()
    others = torch.ones(80, 3, dtype=torch.bool).scatter(1, labels[:, None], value=False)
    lead = z.gather(1, labels[:, None]) - z
    size = torch.linalg.vector_norm(w[labels][:, None] - w[None], DUAL[norm], dim=2)
    reach = torch.where(others, lead / size.clamp(min=1e-9), torch.inf).amin(1)
    radii = reach[reach > 0].quantile(torch.tensor([0.3, 0.6]).double()).tolist()
    clear = ((reach[:, None] / torch.tensor(radii) - 1).abs() > 0.01).all(1)
    wide = (-20.0, 20.0)  # out of reach
    found = bracket(model, x[clear], labels[clear], radii, norm, bounds=wide)
    exact = torch.stack([reach[clear] > eps for eps in radii])
    assert (found.proven == exact).all()
    assert (~found.broken == exact).all()
    assert found.lower == found.upper
    assert found.clean.tolist() == (reach[clear] > 0).tolist()


@pytest.mark.parametrize("norm", RADII)
def test_it_closes_on_a_small_network_and_shares_fall_with_the_radius(norm):
    found = bracket(MODEL, *SOME, RADII[norm], norm, budget="fast")
    for low, high in zip(found.lower, found.upper, strict=True):
        assert low <= high <= low + 0.05
    assert (found.proven[1] <= found.proven[0]).all()
    assert (found.broken[1] >= found.broken[0]).all()
    assert found.violations == 0
    assert found.methods
    assert found.crossed == int(found.broken[1].sum()) + int(found.broken[0].sum()) <= 16
    assert found.reason == ""


def test_neither_the_order_nor_the_batch_matters():
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    first = bracket(MODEL, *SOME, [0.01, 0.03], budget="fast")
    second = bracket(
        MODEL, SOME[0][order], SOME[1][order], [0.03, 0.01], budget="fast", pool=Pool(13)
    )
    assert first.radii == second.radii
    assert (first.broken[:, order] == second.broken).all()
    assert (first.proven[:, order] == second.proven).all()
    assert first.ids_sha256 == second.ids_sha256
    assert first.ids_sha256 != bracket(MODEL, X[1:9], Y[1:9], [0.01], budget="fast").ids_sha256


def test_counter_examples_break_and_lie_inside():
    found = bracket(MODEL, *SOME, [0.05], budget="fast")
    points = found.counterexamples()
    assert len(points["index"]) == int(found.broken.sum()) > 0
    assert (MODEL(points["examples"]).argmax(1) != points["labels"]).all()
    assert ((points["examples"].double() - points["inputs"].double()).abs() <= 0.05).all()
    assert (points["inputs"] == SOME[0][points["index"]]).all()


def test_a_misclassified_input_is_its_own_counter_example():
    wrong = SOME[1].clone()
    wrong[3] = (wrong[3] + 1) % 10
    found = bracket(MODEL, SOME[0], wrong, [0.001], budget="fast")
    assert found.accuracy == 39 / 40
    points = found.counterexamples()
    [place] = (points["index"] == 3).nonzero().flatten().tolist()
    assert points["eps"][place] == 0
    assert (points["examples"][place] == SOME[0][3]).all()


def test_without_certificates_the_lower_end_is_0_and_says_why():
    class Odd(nn.Module):
        def forward(self, x):
            return MODEL(x + 0 * torch.special.erfcx(x))

    found = bracket(Odd(), *SOME, [0.01], budget="fast")
    assert found.lower == (0.0,)
    assert "erfcx" in found.reason
    assert "Nothing is proven: " in found.statement()
    asked = bracket(MODEL, *SOME, [0.01], budget="fast", certificates=False)
    assert asked.lower == (0.0,)
    assert "not asked for" in asked.reason
    assert asked.upper[0] > 0.8


def test_nan_is_broken():
    class Hollow(nn.Module):
        def forward(self, x):
            return torch.where(x[:, :1] >= 0, torch.nan, MODEL(x))

    found = bracket(Hollow(), *SOME, [0.01], budget="fast")
    assert found.upper == found.lower == (0.0,)
    assert found.accuracy == 0


def test_what_is_broken_and_certified_stops_everything(monkeypatch):
    def all_certified(_model, inputs, *_, **__):
        n = len(inputs)
        return Certified(torch.ones(n), torch.ones(n, dtype=torch.bool), ("ibp",) * n, 0)

    monkeypatch.setattr(module, "certify", all_certified)
    with pytest.raises(AssertionError, match="there is a counter-example"):
        bracket(MODEL, *SOME, [0.1], budget="fast")


def test_no_random_network_is_both_certified_and_broken():
    """What is broken is bounded as well, and a certificate of it would be an AssertionError."""
    torch.manual_seed(0)
    crossed, proven = 0, 0
    for _ in range(3):
        layers = nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)
        model = nn.Sequential(*layers)
        x = torch.rand(30, 6)
        with torch.no_grad():
            layers[-1].bias -= model(x).mean(0)  # so that all classes occur
        found = bracket(model, x, model(x).argmax(1), [0.02, 0.1], budget="fast")
        crossed += found.crossed
        proven += int(found.proven.sum())
        assert found.violations == 0
    assert crossed > 20
    assert proven > 20


def test_a_network_that_answers_at_random_is_suspected_and_has_no_certificates(monkeypatch):
    monkeypatch.setattr("wellposed.perturb._ladder.fallback", lambda *_, **__: (Rung(FGSM()),))
    found = bracket(Noisy(MODEL), *SOME, [0.05], budget="fast")
    assert found.suspected
    assert found.lower == (0.0,)
    assert "randn_like" in found.reason
    assert found.suspicions.stochastic > 1e-4


@pytest.mark.slow
def test_a_masked_network_is_suspected():
    found = bracket(Quantized(MODEL), X[:10], Y[:10], [0.1], budget="fast")
    assert found.suspected
    assert "Weak attack suspected (zero gradient" in found.statement()
    assert found.to_dict()["radii"][0]["upper"]["label"] == "weak attack suspected"


def test_one_logit_and_bounds_that_are_tensors():
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(-2.0)
    x = torch.full((2, 4), 0.52)
    low = torch.full((4,), 0.515)  # nothing may fall below
    found = bracket(model, x, torch.ones(2, dtype=torch.int64), [0.1], bounds=(low, 1.0))
    assert isinstance(found, Bracket)
    assert found.lower == found.upper == (1.0,)
    assert found.bounds == (pytest.approx(0.515), 1.0)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("changed", "said"),
    [({"radii": []}, "positive and finite"), ({"radii": [0.0, 0.1]}, "positive and finite")],
)
def test_refuses(changed, said):
    with pytest.raises(ArgumentError, match=said):
        bracket(MODEL, *SOME, **changed)
    with pytest.raises(ArgumentError, match="at least one example"):
        bracket(MODEL, X[:0], Y[:0], [0.1])
    with pytest.raises(ArgumentError, match="one label per input"):
        bracket(MODEL, X[:3], Y[:2], [0.1])
    with pytest.raises(UnknownNameError, match="no norm is called 'l3'"):
        bracket(MODEL, *SOME, [0.1], "l3")
    with pytest.raises(UnknownNameError, match="no method is called"):
        bracket(MODEL, *SOME, [0.1], method="crwn")


def test_labels_may_be_short_integers():
    one = bracket(MODEL, X[:20], Y[:20].int(), [0.05], budget="fast")
    assert one.upper == bracket(MODEL, X[:20], Y[:20], [0.05], budget="fast").upper
