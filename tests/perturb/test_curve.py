import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import APGD, L1, L2, PGD, Linf, Pool, attack_curve

RADII = {Linf: [0.0, 0.01, 0.05, 0.2], L2: [0.0, 0.05, 0.2, 1.0], L1: [0.1, 0.5, 2.0]}


def toy():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 3))
    x = torch.rand(60, 12)
    return model, x, model(x).argmax(1)


MODEL, X, Y = toy()


@pytest.mark.parametrize("attack", [PGD(15), APGD(15)])
@pytest.mark.parametrize("kind", RADII)
def test_is_never_more_robust_at_a_larger_radius(attack, kind):
    curve = attack_curve(attack, MODEL, X, Y, kind(0.0), RADII[kind])
    shares = [found.accuracy for found in curve]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]
    for eps, smaller, found in zip(RADII[kind][1:], curve[:-1], curve[1:], strict=True):
        ball = kind(eps)
        assert (ball.distance(found.examples, X) <= eps).all()
        assert torch.equal(MODEL(found.examples).argmax(1) != Y, found.broken)
        assert found.broken[smaller.broken].all()
        assert found.gradients[smaller.broken].sum() == 0
        assert torch.equal(found.examples[smaller.broken], smaller.examples[smaller.broken])
        assert (found.margin <= smaller.margin).all()


def test_finds_what_the_attack_alone_finds():
    curve = attack_curve(PGD(20), MODEL, X, Y, Linf(0.0), RADII[Linf])
    for eps, found in zip(RADII[Linf], curve, strict=True):
        alone = PGD(20)(MODEL, X, Y, Linf(eps))
        assert (alone.broken ^ found.broken).sum() <= 1
    again = attack_curve(PGD(20), MODEL, X, Y, Linf(0.0), RADII[Linf])
    assert all(torch.equal(a.examples, b.examples) for a, b in zip(curve, again, strict=True))


def test_keeps_a_file_per_radius_and_goes_on_from_them(tmp_path):
    pool = Pool(checkpoint=tmp_path / "work.safetensors")
    first = attack_curve(PGD(5), MODEL, X, Y, Linf(0.0), [0.01, 0.1], pool=pool)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["work-0.safetensors", "work-1.safetensors"]
    again = attack_curve(PGD(5), MODEL, X, Y, Linf(0.0), [0.01, 0.1], pool=pool)
    assert all(torch.equal(a.examples, b.examples) for a, b in zip(first, again, strict=True))


def test_no_radius_gives_nothing():
    assert attack_curve(PGD(5), MODEL, X, Y, Linf(0.0), []) == []


@pytest.mark.parametrize("radii", [[0.1, 0.05], [0.1, 0.1]])
def test_refuses_radii_that_do_not_ascend(radii):
    with pytest.raises(ArgumentError, match="radii ascend and differ"):
        attack_curve(PGD(5), MODEL, X, Y, Linf(0.0), radii)
