import pytest
import torch
from scipy.stats import beta
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, FMN, L2, PGD, Linf, Pool, transfer


def planes(angles):
    """Linear models of the plane whose boundaries pass through its middle at these angles."""
    models = {}
    for angle in angles:
        model = nn.Linear(2, 1)
        with torch.no_grad():
            turn = torch.tensor(angle).deg2rad()
            model.weight[0] = torch.stack([turn.cos(), turn.sin()])
            model.bias[0] = -model.weight.sum() / 2
        models[str(angle)] = model
    return models


def test_linear_models_transfer_by_the_angle_between_them():
    torch.manual_seed(0)
    x = 0.5 + 0.1 * torch.randn(400, 2).clamp(-2, 2)
    models = planes([0.0, 60.0, 90.0])
    first, eps = models["0.0"], 0.05
    y = (first(x).squeeze(1) > 0).long()
    found = transfer(models, x, y, L2(eps), attack=PGD(steps=20, random=False))
    lead = {name: model(x).squeeze(1).detach() * (2 * y - 1) for name, model in models.items()}
    # the deepest example of a model lies eps along its own normal, by which another one's lead
    # falls as the cosine of the angle between them
    cosine = {"0.0": 1.0, "60.0": 0.5, "90.0": 0.0}
    for place, name in enumerate(models):
        both = (lead["0.0"] > 0) & (lead[name] > 0)
        near = (lead[name] - eps * cosine[name]).abs() < 1e-4
        expected = lead[name] <= eps * cosine[name]
        assert torch.equal(found.broken[0, place][both & ~near], expected[both & ~near])
        assert found.counted[0, place] == both.sum()
        assert torch.equal(found.right[place], lead[name] > 0)
    assert found.shares[0, 0] > found.shares[0, 1] > found.shares[0, 2] - 1e-9
    assert found.names == tuple(models)


def network(width, seed):
    torch.manual_seed(seed)
    x, y = X, Y
    model = nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.requires_grad_(False)


NETWORKS = {"relu": MODEL, "narrow": network(16, 1), "wide": network(80, 2)}


def test_the_deepest_examples_transfer_better_than_the_first():
    ball = Linf(0.3)
    found = transfer(NETWORKS, X[:80], Y[:80], ball, attack=APGD(15))
    first = APGD(15)(MODEL, X[:80], Y[:80], ball)
    both = found.right[0] & found.right[1]
    shallow = NETWORKS["narrow"](first.examples).argmax(1) != Y[:80]
    assert found.breaks[0, 1] > (shallow & both).sum() + 5
    assert torch.equal(found.crafted["relu"].broken, first.broken)
    for row, name in enumerate(NETWORKS):
        examples = found.crafted[name].examples
        assert (ball.distance(examples, X[:80]) <= ball.eps).all()
        for column, model in enumerate(NETWORKS.values()):
            expected = model(examples).argmax(1) != Y[:80]
            assert torch.equal(found.broken[row, column], expected)
        assert found.shares[row, row] == found.shares[row].max()
    assert (found.counted.diagonal() == found.right.sum(1)).all()


def test_intervals_are_those_of_clopper_and_pearson():
    found = transfer(NETWORKS, X[:40], Y[:40], Linf(0.1), attack=PGD(steps=5))
    k, n = int(found.breaks[0, 1]), int(found.counted[0, 1])
    assert 0 < k < n
    low, high = found.interval("relu", "narrow", level=0.9)
    assert low == pytest.approx(beta.ppf(0.05, k, n - k + 1))
    assert high == pytest.approx(beta.ppf(0.95, k + 1, n - k))
    with pytest.raises(ArgumentError, match="no model 'deep' in this transfer; the models are rel"):
        found.interval("deep", "relu")


def test_a_model_that_hides_its_gradients_is_found_out():
    class Hidden(nn.Module):
        def forward(self, x):
            return MODEL((x * 16).round() / 16)

    models = {"open": MODEL, "hidden": Hidden()}
    found = transfer(models, X[:60], Y[:60], Linf(0.1), attack=PGD(steps=10, random=False))
    assert found.missed("hidden").sum() > 15
    assert found.missed("open").sum() == 0


def test_goes_on_from_its_files(tmp_path):
    pool = Pool(batch=16, checkpoint=tmp_path / "work.safetensors")
    whole = transfer(NETWORKS, X[:20], Y[:20], Linf(0.1), attack=PGD(steps=3), pool=pool)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"work-{i}.safetensors" for i in range(3)]
    again = transfer(NETWORKS, X[:20], Y[:20], Linf(0.1), attack=PGD(steps=3), pool=pool)
    assert torch.equal(whole.broken, again.broken)


def test_nothing_to_count_is_said():
    found = transfer({"a": MODEL}, X[:5], (Y[:5] + 1) % 10, Linf(0.1), attack=PGD(steps=2))
    assert found.counted.item() == 0
    assert found.shares.isnan().all()
    with pytest.raises(ArgumentError, match="at least one case"):
        found.interval("a", "a")
    empty = transfer({"a": MODEL}, X[:0], Y[:0], Linf(0.1))
    assert empty.broken.shape == (1, 1, 0)


def test_refuses_no_model_and_an_attack_for_the_nearest_point():
    with pytest.raises(ArgumentError, match="at least one model"):
        transfer({}, X, Y, Linf(0.1))
    with pytest.raises(ArgumentError, match="FMN keeps the nearest point"):
        transfer(NETWORKS, X, Y, Linf(0.1), attack=FMN(5))
