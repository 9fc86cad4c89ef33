from itertools import pairwise

import pytest
import torch
from tests.perturb.masked import MASKS
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError, DataError
from wellposed.perturb import (
    APGD,
    FGSM,
    L1,
    L2,
    LADDERS,
    PGD,
    Linf,
    Pool,
    RandomSearch,
    Rung,
    TargetedAPGD,
    ladder,
)  # fmt: skip

RADII = {"linf": (Linf, [0.02, 0.05, 0.12]), "l2": (L2, [0.1, 0.3, 0.6]), "l1": (L1, [0.5, 1, 2])}


@pytest.mark.parametrize("norm", RADII)
def test_little_is_missed_for_a_part_of_the_price(norm):
    kind, radii = RADII[norm]
    some = MODEL, X[:20], Y[:20], kind(0.0), radii[1:]
    dear = ladder(*some, budget=full(), doubts=False)
    cheap = ladder(*some, budget="standard", doubts=False)
    for few, many in zip(cheap.attacked, dear.attacked, strict=True):
        assert few.accuracy <= many.accuracy + 0.05
    assert cheap.gradients < dear.gradients / 2


def full():
    """As "full", with fewer steps: enough to compare with, and fast enough to test with."""
    return [Rung(APGD(50)), Rung(TargetedAPGD(25, targets=9))]


def test_budgets_cost_what_the_docstring_says():
    model, x, y = constant(25)
    each = {
        name: ladder(model, x, y, Linf(0.1), budget=name, doubts=False).gradients / 25
        for name in ("fast", "standard", "full")
    }
    assert each["fast"] == pytest.approx(8 + 0.2 * 20 + 0.08 * 80)
    assert each["standard"] == pytest.approx(11 + 8 / 25 * 50 + 4 / 25 * 200)
    assert each["full"] == pytest.approx(1000)
    assert LADDERS["full"](Linf(0.1))[1].attack.targets == 9


def constant(n):
    """A network that no input changes, so that nothing ever breaks."""
    model = nn.Linear(4, 10)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()[0] = 1.0
    return model, torch.rand(n, 4), torch.zeros(n, dtype=torch.int64)


def test_a_rung_meets_the_nearest_and_the_counts_say_so():
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5], [-0.5]]))  # margin x - 0.5, within eps of it
        model.bias.copy_(torch.tensor([-0.25, 0.25]))
    x = torch.linspace(0.51, 1, 50)[torch.randperm(50, generator=torch.Generator().manual_seed(0))]
    labels = torch.zeros(50, dtype=torch.int64)
    rungs = [Rung(FGSM()), Rung(FGSM(), 0.2)]
    found = ladder(model, x[:, None], labels, Linf(0.1), budget=rungs, doubts=False)
    first, second = found.spent
    assert first.tried == 50
    assert first.broke == int((x.double() - 0.1 <= 0.5).sum())
    assert (second.tried, second.broke) == (10, 0)  # a fifth of all, though fewer are left
    left = x[x.double() - 0.1 > 0.5].sort().values[:10]
    total = found.attacked[0]
    assert sorted(x[total.gradients == 2].tolist()) == left.tolist()
    assert int(total.gradients.sum()) == found.gradients == first.gradients + second.gradients
    assert int(total.forwards.sum()) == found.forwards


def test_a_larger_radius_never_saves_an_example_and_a_break_is_kept():
    found = ladder(MODEL, X, Y, Linf(0.0), [0, 0.01, 0.03, 0.06], budget="fast")
    for smaller, larger in pairwise(found.attacked):
        assert (larger.broken | ~smaller.broken).all()
        assert (larger.examples[smaller.broken] == smaller.examples[smaller.broken]).all()
        assert (larger.gradients[smaller.broken] == 0).all()
        assert (larger.margin <= smaller.margin).all()
    assert not found.attacked[0].broken.any()
    assert found.radii == (0, 0.01, 0.03, 0.06)


def test_points_that_are_returned_lie_inside_and_break():
    found = ladder(MODEL, X, Y, L2(0.4), budget="fast").attacked[0]
    assert (L2(0.4).distance(found.examples, X) <= 0.4).all()
    assert ((found.examples >= 0) & (found.examples <= 1)).all()
    assert ((MODEL(found.examples).argmax(1) != Y) == found.broken).all()


def test_the_batch_changes_nothing_and_the_model_is_left_as_it_was():
    before = {name: value.clone() for name, value in MODEL.state_dict().items()}
    grads = [p.grad for p in MODEL.parameters()]
    MODEL.train()
    some = (X[:40], Y[:40], Linf(0.05))
    ways = [ladder(MODEL, *some, budget="fast", pool=Pool(b)) for b in (16, 128)]
    assert MODEL.training
    assert (ways[0].attacked[0].broken == ways[1].attacked[0].broken).all()
    assert all((value == before[name]).all() for name, value in MODEL.state_dict().items())
    assert all(p.grad is grad for p, grad in zip(MODEL.parameters(), grads, strict=True))


def test_nan_is_broken_and_costs_nothing():
    class Hollow(nn.Module):
        def forward(self, x):
            return MODEL(x) + (x[:, :1] - x[:, :1] + torch.nan) * (x.sum(1, keepdim=True) < 21)

    found = ladder(Hollow(), X, Y, Linf(0.01), budget="fast").attacked[0]
    hollow = X.sum(1) < 20
    assert hollow.any()
    assert not hollow.all()
    assert found.broken[hollow].all()


def test_no_example_at_all():
    found = ladder(MODEL, X[:0], Y[:0], Linf(0.1), [0.1, 0.2])
    assert [len(part.broken) for part in found.attacked] == [0, 0]
    assert found.gradients == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"radii": [0.2, 0.1]}, "radii ascend"),
        ({"radii": []}, "radii ascend"),
        ({"budget": []}, "at least one rung"),
        ({"seed": -1}, "seed from 0"),
    ],
)
def test_refuses(changed, said):
    with pytest.raises(ArgumentError, match=said):
        ladder(MODEL, X, Y, Linf(0.1), **changed)


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
def test_masked_networks_raise_a_flag_and_are_broken_all_the_same(mask):
    """By the same attack they would seem robust, but for those that the margin sees through."""
    model, some, ball = MASKS[mask](MODEL), (X[:20], Y[:20]), Linf(0.12)
    honest = ladder(MODEL, *some, ball, budget="fast", doubts=False).attacked[0].accuracy
    alone = ladder(model, *some, ball, budget="fast", doubts=False).attacked[0].accuracy
    found = ladder(model, *some, ball, budget="fast")
    assert found.suspected
    assert found.attacked[0].accuracy <= honest + 0.25
    assert found.attacked[0].accuracy <= alone
    if mask in {"cold", "quantized", "saturated"}:
        assert alone >= 0.9
    again = [part.attack for part in found.spent if part.attack.startswith("again: ")]
    assert len(again) == 5


def test_an_honest_network_is_not_suspected_and_what_that_took_is_counted():
    found = ladder(MODEL, X[:40], Y[:40], Linf(0.0), [0.03, 0.08])
    assert not found.suspected
    assert found.suspicions.planted_found > 0.9
    assert found.suspicions.eps == 0.08
    [doubts] = [part for part in found.spent if part.attack == "suspicions"]
    assert doubts.gradients == found.suspicions.gradients > 0
    alone = ladder(MODEL, X[:40], Y[:40], Linf(0.0), [0.03, 0.08], doubts=False)
    assert alone.suspicions is None
    assert found.gradients == alone.gradients + doubts.gradients


def test_what_suspicions_break_is_broken_at_all_larger_radii(monkeypatch):
    shorter = "wellposed.perturb._ladder.fallback"
    monkeypatch.setattr(shorter, lambda *_, **__: (Rung(FGSM()),))
    model = MASKS["quantized"](MODEL)
    found = ladder(model, X[:20], Y[:20], Linf(0.0), [0.1, 0.12], budget=[Rung(FGSM())])
    assert (found.attacked[1].broken | ~found.attacked[0].broken).all()
    assert found.attacked[0].accuracy < 0.9


def test_what_a_rung_without_gradients_breaks_after_those_with_is_a_gain(monkeypatch):
    monkeypatch.setattr("wellposed.perturb._ladder.fallback", lambda *_, **__: (Rung(FGSM()),))
    model, search = MASKS["quantized"](MODEL), Rung(RandomSearch(300))
    found = ladder(model, X[:20], Y[:20], Linf(0.12), budget=[Rung(FGSM()), search])
    broke = found.spent[1].broke
    assert broke > 1
    assert found.suspicions.blackbox_gain >= broke / 20
    alone = ladder(model, X[:20], Y[:20], Linf(0.12), budget=[search])
    assert alone.suspicions.blackbox_gain < broke / 20


def test_autoattack_starts_afresh_and_takes_nothing_from_suspicions():
    protocol = LADDERS["autoattack"](Linf(0.1))
    assert len(protocol) == 4
    images = X[:4].reshape(4, 1, 8, 8)
    model = nn.Sequential(nn.Flatten(), MODEL)
    found = ladder(model, images, Y[:4], Linf(0.0), [0.2, 0.4], budget="autoattack")
    assert found.attacked[1].accuracy == 0
    assert not any(part.attack.startswith("again") for part in found.spent)


def test_a_model_without_a_last_linear_layer_has_no_planted_points():
    class Distances(nn.Module):
        def forward(self, x):
            return -torch.cdist(x, X[:10])

    labels = Distances()(X[:20]).argmax(1)
    found = ladder(Distances(), X[:20], labels, Linf(0.02), budget="fast")
    assert found.suspicions is not None
    assert found.suspicions.planted_found is None


@pytest.mark.slow
def test_agrees_with_autoattack_example_by_example():
    theirs = pytest.importorskip("pyautoattack")
    model = nn.Sequential(nn.Flatten(), MODEL).eval()
    images, labels = X[:50].reshape(50, 1, 8, 8), Y[:50]
    peer = theirs.AutoAttack(model, norm="Linf", eps=0.08, seed=0)
    peer.verbose = False
    points, *_ = peer.run_standard_evaluation(images, labels, batch_size=50)
    broken = model(points).argmax(1) != labels
    assert 0.3 < broken.double().mean() < 0.9
    for budget in ("autoattack", "standard"):
        ours = ladder(model, images, labels, Linf(0.08), budget=budget).attacked[0]
        assert int((ours.broken != broken).sum()) <= 1


def test_few_planted_points_say_nothing():
    found = ladder(MODEL, X[:3], Y[:3], Linf(0.01), budget="fast")
    assert found.suspicions.examples > 0
    assert found.suspicions.planted_found is None


class Stopped(nn.Module):
    """The model, which counts its calls and may fail at one of them."""

    def __init__(self, fails_at=None):
        super().__init__()
        self.inner, self.calls, self.fails_at = MODEL, 0, fails_at

    def forward(self, x):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        return self.inner(x)


@pytest.mark.parametrize("fails_at", [3, 12, 150])
def test_goes_on_from_its_file_as_if_nothing_had_happened(tmp_path, fails_at):
    given = (X[:30], Y[:30], Linf(0.1), [0.03, 0.06])
    pool = Pool(checkpoint=tmp_path / "work.safetensors")
    rungs = [Rung(APGD(5)), Rung(PGD(8), 0.5)]
    whole = ladder(Stopped(), *given, budget=rungs)
    stopped = Stopped(fails_at)
    with pytest.raises(KeyboardInterrupt):
        ladder(stopped, *given, budget=rungs, pool=pool)
    found = ladder(Stopped(), *given, budget=rungs, pool=pool)
    assert found.spent == whole.spent
    assert found.suspicions == whole.suspicions
    for one, other in zip(found.attacked, whole.attacked, strict=True):
        for name in ("examples", "broken", "margin", "gradients", "forwards"):
            assert torch.equal(getattr(one, name), getattr(other, name))
    done = Stopped()
    assert ladder(done, *given, budget=rungs, pool=pool).spent == whole.spent
    assert done.calls == 0
    assert [path.name for path in tmp_path.iterdir()] == ["work.safetensors"]


@pytest.mark.parametrize(
    "changed", [{"budget": "fast"}, {"seed": 1}, {"radii": [0.02]}, {"doubts": True}]
)
def test_refuses_the_file_of_other_work(tmp_path, changed):
    pool = Pool(checkpoint=tmp_path / "work.safetensors")
    given = {"radii": [0.01], "budget": [Rung(FGSM())], "doubts": False, "pool": pool}
    ladder(MODEL, X[:5], Y[:5], Linf(0.1), **given)
    with pytest.raises(DataError, match="was saved by another attack"):
        ladder(MODEL, X[:5], Y[:5], Linf(0.1), **(given | changed))


def test_an_attack_that_breaks_nearly_all_is_not_suspected():
    class Firm(nn.Module):
        """Class 0 leads where the first coordinate is above 0.5."""

        def forward(self, x):
            return torch.stack([x[:, 0] - 0.5, torch.zeros(len(x))], 1)

    x = torch.cat([torch.full((98, 1), 0.55), torch.full((4, 1), 0.9)])
    labels = torch.zeros(102, dtype=torch.int64)
    for kept, asked in ((2, False), (4, True)):
        found = ladder(Firm(), x[: 98 + kept], labels[: 98 + kept], Linf(0.1), budget="fast")
        assert int((~found.attacked[0].broken).sum()) == kept
        assert (found.suspicions is not None) is asked
