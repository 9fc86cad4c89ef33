"""Shifts that are undone without a trace."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.optim import _reversible
from wellposed.optim._reversible import shift_, unshift_

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
INTS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@pytest.fixture(autouse=True)
def _no_tensor_is_small(monkeypatch):
    """All go the way of large ones, where not said otherwise."""
    monkeypatch.setattr(_reversible, "_SMALL", 0)


def bits(t):
    return t.contiguous().view(INTS[t.element_size()])


def check(weights, shift):
    before = bits(weights).clone()
    residue = shift_(weights, shift)
    shifted = weights.clone()
    unshift_(weights, shift, residue)
    assert torch.equal(bits(weights), before)
    assert residue.nbytes <= weights.nbytes
    return residue, shifted


def every_pattern(dtype):
    """All 65536 numbers of a 16-bit format: denormals, zeros of both signs, infinities, nans."""
    return torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype).clone()


@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 1.0, 300.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_number_of_16_bits_comes_back(dtype, size):
    weights = every_pattern(dtype)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        check(weights, (torch.randn(weights.shape, generator=generator) * size).to(dtype))


@pytest.mark.parametrize("scale", [1e30, 1.0, 1e-3, 1e-6, 1e-30, 1e-40, 0.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_tiny_and_denormal_weights_come_back(dtype, scale):
    generator = torch.Generator().manual_seed(1)
    weights = (torch.randn(20_000, generator=generator, dtype=torch.float64) * scale).to(dtype)
    shift = (torch.randn(20_000, generator=generator) * 1e-3).to(dtype)
    _, shifted = check(weights, shift)
    assert torch.equal(bits(shifted), bits(weights + shift))  # it is the sum, and nothing else


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_any_float32_comes_back_from_any_shift(pattern, shift):
    weights = torch.tensor([pattern, 0], dtype=torch.int32).view(torch.float32)
    check(weights, torch.full((2,), shift))


def test_denormals_come_back_even_where_the_processor_flushes_them():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        weights = torch.arange(1, 1000, dtype=torch.int32).view(torch.float32).clone()
        for shift in (0.0, 1e-40, 1e-3):
            check(weights, torch.full(weights.shape, shift))
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("layout", ["channels_last", "slice", "transposed"])
def test_layouts_come_back(layout):
    whole = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(2)) * 1e-3
    weights = {
        "channels_last": whole.to(memory_format=torch.channels_last),
        "slice": whole[:, :, 1:4, ::2],
        "transposed": whole[0, 0].T,
    }[layout]
    around = whole.clone()
    shift = torch.full(weights.shape, 1e-3)
    residue, _ = check(weights, shift)
    assert residue.places is not None  # the indexed way was taken
    assert torch.equal(whole, around)


def test_only_what_rounding_took_is_kept():
    weights = torch.tensor([1.0, 1e-12, 0.5, 0.0])
    residue, _ = check(weights, torch.full((4,), 2.0**-10))
    assert residue.places.tolist() == [1]
    assert residue.values.tolist() == [pytest.approx(1e-12)]
    tiny = torch.full((100,), 1e-12)
    assert check(tiny, torch.full((100,), 1e-3))[0].nbytes == tiny.nbytes  # a copy, no more


def test_a_small_tensor_is_copied(monkeypatch):
    monkeypatch.setattr(_reversible, "_SMALL", 4)
    for size, whole in ((4, True), (5, False)):
        residue, _ = check(torch.ones(size), torch.full((size,), 0.25))
        assert (residue.places is None) == whole


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.float32, 0.0874), (torch.bfloat16, 0.120), (torch.float16, 0.119)]
)
def test_the_share_that_is_documented(dtype, share):
    generator = torch.Generator().manual_seed(3)
    weights = (torch.randn(400_000, generator=generator) * 0.05).to(dtype)
    residue, _ = check(weights, (torch.randn(400_000, generator=generator) * 1e-3).to(dtype))
    assert residue.nbytes / weights.nbytes == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adding_and_subtracting_alone_does_not_lead_back(dtype):
    # The trap: +e, -2e, +e, as is usual.
    generator = torch.Generator().manual_seed(4)
    weights = (torch.randn(10_000, generator=generator, dtype=torch.float64) * 0.05).to(dtype)
    shift = (torch.randn(10_000, generator=generator, dtype=torch.float64) * 1e-3).to(dtype)
    drifted = weights + shift - 2 * shift + shift
    assert (bits(drifted) != bits(weights)).double().mean() > 0.3
