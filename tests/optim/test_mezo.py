"""MeZO: SPSA with the same z, and weights that are restored bit by bit."""

import gc

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SPSA, MeZO, _reversible, memory
from wellposed.optim import _directions as directions
from wellposed.optim import _mezo as module

INTS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def matrices(dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 4), (7,), (2, 3, 2, 2), ())
    return [
        nn.Parameter((torch.randn(s, generator=generator, dtype=torch.float64) * scale).to(dtype))
        for s in shapes
    ]


def bumpy(params):
    return lambda: sum((p.double() - 1).square().sum() + p.double().sin().sum() for p in params)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_spsa_with_the_same_z(seed):
    ours, theirs = matrices(), matrices()
    MeZO(ours, lr=0.01, radius=1e-2, noise_seed=seed).step(bumpy(ours))
    spsa = SPSA(theirs, lr=0.01, radius=1e-2, distribution="gaussian", noise_seed=seed)
    spsa.step(bumpy(theirs))
    for a, b, c in zip(ours, theirs, matrices(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)
        assert not torch.equal(a, c)


def test_the_update_is_the_slope_along_z_in_place_and_decay_beside_it():
    (x,) = params = [nn.Parameter(torch.ones(6, dtype=torch.float64))]
    z = directions.direction(x, "gaussian", 3, 0, 0, 0)
    storage = x.data_ptr()
    optimizer = MeZO(params, lr=0.1, radius=1e-3, weight_decay=0.5, noise_seed=3)
    optimizer.step(lambda: x.sum() * 2)
    slope = 2 * z.sum()
    assert optimizer.diagnostics()["projected_gradient"] == pytest.approx(slope.item(), rel=1e-9)
    torch.testing.assert_close(x.detach(), 1 - 0.1 * 0.5 - 0.1 * slope * z, rtol=1e-9, atol=1e-12)
    assert x.data_ptr() == storage


@pytest.mark.parametrize("small", [0, 4096])
@pytest.mark.parametrize("scale", [1e4, 1.0, 0.05, 1e-4, 1e-12, 1e-40, 0.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_weights_are_restored_bitwise(monkeypatch, dtype, scale, small):
    monkeypatch.setattr(_reversible, "_SMALL", small)
    params = matrices(dtype, scale)
    kept = [p.detach().clone() for p in params]
    seen = []

    def closure():
        seen.append([p.detach().clone() for p in params])
        return bumpy(params)()

    optimizer = MeZO(params, lr=0.0, radius=1e-3)
    for _ in range(10):
        optimizer.step(closure)
        for a, b in zip(params, kept, strict=True):
            assert torch.equal(a.detach().view(INTS[a.element_size()]),
                               b.view(INTS[a.element_size()]))  # fmt: skip
    assert all(torch.isfinite(p).all() for p in params)
    if scale <= 1.0:  # else the shift may be below the rounding
        assert not torch.equal(seen[0][0], kept[0])
    z = directions.direction(params[0], "gaussian", 0, 0, 0, 0)
    shift = (z * 1e-3).to(dtype)
    assert torch.equal(seen[0][0], kept[0] + shift)
    assert torch.equal(seen[1][0], kept[0] - shift)


def test_layouts_and_chunks_do_not_matter(monkeypatch):
    # Of 20 numbers in chunks of 8, and channels_last as a whole, in the same z.
    monkeypatch.setattr(_reversible, "_SMALL", 0)
    monkeypatch.setattr(directions, "CHUNK", 8)
    monkeypatch.setattr(module, "CHUNK", 8)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        params = matrices()
        params[2] = nn.Parameter(params[2].detach().to(memory_format=layout))
        kept = [p.detach().clone() for p in params]
        MeZO(params, lr=0.0).step(bumpy(params))
        assert all(torch.equal(a, b) for a, b in zip(params, kept, strict=True))
        MeZO(params, lr=0.01).step(bumpy(params))
        results.append([p.detach().clone() for p in params])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def largest_alive():
    """Elements of all tensors that exist, storages once."""
    storages = {}
    for found in gc.get_objects():
        # not what other tests have traced: such tensors hold no memory and refuse to say where
        if type(found) in {torch.Tensor, nn.Parameter} and not torch._is_functional_tensor(found):
            storages[found.untyped_storage().data_ptr()] = found.untyped_storage().nbytes()
    return sum(storages.values())


@pytest.mark.simulation
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of what the collector walks over
def test_it_needs_the_memory_of_inference_and_what_it_says():
    generator = torch.Generator().manual_seed(1)
    x = nn.Parameter(torch.randn(4_000_000, generator=generator) * 0.05)
    optimizer = MeZO([x])
    before, during = largest_alive(), []
    optimizer.step(lambda: during.append(largest_alive()) or x[0] * 1.0)
    assert memory(optimizer) == 0
    said = optimizer.diagnostics()
    assert max(during) - before == pytest.approx(said["residue_bytes"], rel=0.02)
    assert said["residue_share"] == pytest.approx(said["residue_bytes"] / x.nbytes)
    assert said["residue_share"] == pytest.approx(0.087, abs=0.002)
    assert largest_alive() - before < 10_000


def test_the_usual_way_drifts_in_bfloat16_by_as_much_as_documented():
    # Weights that no update should move, 100 steps of +e, -2e, +e: the trap that is avoided.
    generator = torch.Generator().manual_seed(2)
    x = (torch.randn(10_000, generator=generator) * 0.05).bfloat16()
    start = x.clone()
    for _ in range(100):
        z = (torch.randn(x.shape, generator=generator) * 1e-3).bfloat16()
        x.add_(z).sub_(2 * z).add_(z)
    usual = (x.float() - start.float()).norm() / start.float().norm()
    weights = nn.Parameter(start.clone())
    optimizer = MeZO([weights], lr=0.0)
    for _ in range(100):
        optimizer.step(lambda: 0.0)
    assert usual == pytest.approx(0.039, rel=0.1)
    assert torch.equal(weights, start)


@pytest.mark.simulation
def test_it_trains_a_classifier_without_gradients():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(200, 5, generator=generator)
    y = (x @ torch.randn(5, 3, generator=generator)).argmax(1)
    model = nn.Linear(5, 3)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    optimizer = MeZO(model.parameters(), lr=0.1)
    for _ in range(600):
        last = optimizer.step(lambda: nn.functional.cross_entropy(model(x), y))
    assert last < 0.4  # from log 3 = 1.10


def test_a_negative_decay_is_refused():
    with pytest.raises(ArgumentError, match="weight_decay=-1"):
        MeZO(matrices(), weight_decay=-1.0)
