import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError, DataError
from wellposed.perturb import L2, PGD, Linf, Pool


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))


X = torch.rand(60, 10, generator=torch.Generator().manual_seed(2))
Y = net()(X).argmax(1)


class Listened(nn.Module):
    """A model that notes the sizes of the batches it is given, and may fail."""

    def __init__(self, fails_at=None):
        super().__init__()
        self.inner, self.sizes, self.fails_at = net(), [], fails_at

    def forward(self, x):
        self.sizes.append(len(x))
        if len(self.sizes) == self.fails_at:
            raise KeyboardInterrupt
        return self.inner(x)


@pytest.mark.parametrize("ball", [Linf(0.25), L2(0.6)])
def test_neither_batch_size_nor_order_nor_company_change_a_result(ball):
    attack = PGD(steps=6, restarts=2)
    whole = attack(net(), X, Y, ball)
    small = attack(net(), X, Y, ball, pool=Pool(batch=7))
    assert torch.equal(whole.broken, small.broken)
    assert torch.equal(whole.gradients, small.gradients)
    torch.testing.assert_close(whole.examples, small.examples, rtol=0, atol=1e-6)
    repeated = attack(net(), X, Y, ball)
    assert torch.equal(whole.examples, repeated.examples)
    assert not torch.equal(whole.examples, attack(net(), X, Y, ball, seed=1).examples)


def test_a_permutation_of_the_examples_permutes_the_results():
    attack = PGD(steps=6, random=False)  # random starts follow the place of an example
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    whole = attack(net(), X, Y, Linf(0.25))
    shuffled = attack(net(), X[order], Y[order], Linf(0.25), pool=Pool(batch=16))
    assert torch.equal(whole.broken[order], shuffled.broken)
    torch.testing.assert_close(whole.examples[order], shuffled.examples, rtol=0, atol=1e-6)


def test_who_breaks_costs_no_more():
    found = PGD(steps=20)(net(), X, Y, Linf(0.25))
    assert found.gradients[~found.broken].eq(20).all()
    assert found.gradients[found.broken].max() < 21
    assert found.gradients[found.broken].double().mean() < 10


@pytest.mark.parametrize("call", [1, 5, 12, 20])
def test_goes_on_from_its_file_as_if_nothing_had_happened(tmp_path, call):
    attack, path = PGD(steps=3, restarts=2), tmp_path / "work.safetensors"
    whole = attack(Listened(), X[:24], Y[:24], Linf(0.2), pool=Pool(batch=8))
    keeping = Pool(batch=8, checkpoint=path, every=0.0)
    with pytest.raises(KeyboardInterrupt):
        attack(Listened(fails_at=call), X[:24], Y[:24], Linf(0.2), pool=keeping)
    found = attack(Listened(), X[:24], Y[:24], Linf(0.2), pool=keeping)
    for name in ("examples", "broken", "margin", "gradients", "forwards"):
        assert torch.equal(getattr(whole, name), getattr(found, name))
    done = Listened()
    attack(done, X[:24], Y[:24], Linf(0.2), pool=keeping)
    assert done.sizes == []
    assert [p.name for p in tmp_path.iterdir()] == ["work.safetensors"]


def test_refuses_the_file_of_other_work(tmp_path):
    pool = Pool(checkpoint=tmp_path / "work.safetensors")
    PGD(steps=2)(net(), X, Y, Linf(0.03), pool=pool)
    others = [
        (PGD(steps=3), net(), X, Linf(0.03)),
        (PGD(steps=2), net(1), X, Linf(0.03)),
        (PGD(steps=2), net(), X.flip(0), Linf(0.03)),
        (PGD(steps=2), net(), X, L2(0.03)),
    ]
    for attack, model, inputs, ball in others:
        with pytest.raises(DataError, match="was saved by another attack"):
            attack(model, inputs, Y, ball, pool=pool)
    with pytest.raises(DataError, match="was saved by another attack"):
        PGD(steps=2)(net(), X, Y, Linf(0.03), seed=1, pool=pool)


def test_refuses_a_damaged_file(tmp_path):
    path = tmp_path / "work.safetensors"
    path.write_bytes(b"no such thing")
    with pytest.raises(DataError, match="is no checkpoint of an attack"):
        PGD(steps=2)(net(), X, Y, Linf(0.03), pool=Pool(checkpoint=path))


def test_refuses_empty_batches_and_negative_times():
    with pytest.raises(ArgumentError, match="batch of at least 1, got batch=0"):
        Pool(batch=0)
    with pytest.raises(ArgumentError, match="every >= 0 seconds, got every=-1"):
        Pool(every=-1.0)
