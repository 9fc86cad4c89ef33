"""Lanczos' iteration against dense spectra, and its bounds against many random starts."""

import math

import numpy as np
import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.linalg import lanczos, random_start

SPECTRA = {
    "outliers over a bulk at 0": np.concatenate([np.zeros(170), np.linspace(1, 20, 30)]),
    "even": np.linspace(-1.0, 1.0, 200),
    "crowded at the upper end": 1 - np.linspace(0, 1, 200) ** 3,
    "one apart": np.concatenate([np.linspace(-1, 1, 199), [1.2]]),
}


def diagonal(values):
    entries = torch.tensor(values)
    return lambda v: entries * v


def start(n, seed=0, dtype=torch.float64):
    return random_start(torch.zeros(n, dtype=dtype), seed)


def test_values_and_vectors_are_those_of_the_dense_matrix():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(40, 40, dtype=torch.float64, generator=generator)
    matrix = root + root.T
    ritz = lanczos(lambda v: matrix @ v, start(40), steps=99)
    assert (ritz.products, ritz.exhausted) == (40, True)
    np.testing.assert_allclose(ritz.values, torch.linalg.eigvalsh(matrix), atol=1e-11)
    vectors = ritz.vectors(slice(-3, None))
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(3, dtype=torch.float64))
    image = vectors @ matrix
    torch.testing.assert_close(image, torch.tensor(ritz.values[-3:])[:, None] * vectors)
    assert ritz.asymmetry < 1e-13


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("steps", [3, 12])
def test_residuals_hold_and_no_value_leaves_the_spectrum(spectrum, steps):
    ritz = lanczos(diagonal(spectrum), start(200), steps=steps)
    assert ritz.values.min() >= spectrum.min() - 1e-12
    assert ritz.values.max() <= spectrum.max() + 1e-12
    for value, residual, vector in zip(
        ritz.values, ritz.residuals, ritz.vectors(slice(None)), strict=True
    ):
        image = torch.tensor(spectrum) * vector
        assert float((image - value * vector).norm()) == pytest.approx(residual, abs=1e-12)
        assert np.abs(spectrum - value).min() <= residual + 1e-12


def test_it_ends_when_both_ends_are_accurate():
    values = np.concatenate([np.zeros(280), [-3.0, -2.0], np.linspace(5, 30, 18)])
    ritz = lanczos(diagonal(values), start(300), steps=60, largest=3, smallest=1, tolerance=1e-3)
    assert ritz.products < 25
    assert ritz.values[-3:] == pytest.approx(np.sort(values)[-3:], rel=1e-5)
    assert ritz.values[0] == pytest.approx(-3.0, rel=1e-5)
    assert (ritz.residuals[[0, -3, -2, -1]] <= 1e-3 * np.abs(ritz.values[[0, -3, -2, -1]])).all()


def test_an_invariant_space_ends_it_with_eigenvalues():
    # Four different eigenvalues: the Krylov space of any start has four dimensions.
    ritz = lanczos(diagonal(np.repeat([-1.0, 0.0, 2.0, 5.0], 25)), start(100), steps=30)
    assert (ritz.products, ritz.exhausted) == (4, True)
    np.testing.assert_allclose(ritz.values, [-1, 0, 2, 5], atol=1e-12)
    assert ritz.ceiling(0.01) == pytest.approx(5.0, abs=1e-10)
    assert ritz.floor(0.01) == pytest.approx(-1.0, abs=1e-10)
    zero = lanczos(torch.zeros_like, start(9), steps=5)
    assert (zero.values.tolist(), zero.exhausted) == ([0.0], True)


def test_in_float32_there_are_no_copies_of_converged_values():
    values = np.concatenate([np.zeros(900), np.linspace(0.1, 1, 99), [100.0]])
    entries = torch.tensor(values, dtype=torch.float32)
    ritz = lanczos(lambda v: entries * v, start(1000, dtype=torch.float32), steps=60)
    assert (ritz.values > 50).sum() == 1
    gram = ritz.basis @ ritz.basis.T
    torch.testing.assert_close(gram, torch.eye(len(gram)), atol=2e-6, rtol=0)


def test_what_is_not_symmetric_shows():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(30, 30, dtype=torch.float64, generator=generator)
    assert lanczos(lambda v: matrix @ v, start(30), steps=6).asymmetry > 0.1


def test_rows_are_kept_out():
    values = np.linspace(0, 1, 50)
    top = torch.eye(50, dtype=torch.float64)[-2:]
    ritz = lanczos(diagonal(values), start(50), steps=99, against=top)
    assert (ritz.products, ritz.deflated) == (48, 2)
    np.testing.assert_allclose(ritz.values, values[:-2], atol=1e-10)
    assert float((ritz.basis @ top.T).abs().max()) < 1e-13


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_the_bounds_hold_as_often_as_they_say(spectrum):
    # 150 starts per spectrum and number of steps, at 10 %: the chance of more than 28 misses is
    # below 1e-3 if each has probability 0.1. "Ritz + residual" misses a third of them.
    for steps in (3, 8):
        missed = naive = 0
        for seed in range(150):
            ritz = lanczos(diagonal(spectrum), start(200, seed), steps=steps)
            high = ritz.ceiling(0.1) < spectrum.max() - 1e-12
            missed += high or ritz.floor(0.1) > spectrum.min() + 1e-12
            naive += ritz.values[-1] + ritz.residuals[-1] < spectrum.max()
        assert missed <= 28
        if steps == 3 and "crowded" in str(spectrum):
            assert naive > missed


def test_the_bound_is_sharp_enough_to_be_of_use_and_infinite_when_it_knows_nothing():
    # For a million coordinates the share of the spectrum's width is that of the closed form.
    ritz = lanczos(diagonal(np.linspace(0, 1, 4000)), start(4000), steps=30)
    width = ritz.values[-1] - ritz.values[0]
    slack = ritz.ceiling(0.01) - ritz.values[-1]
    assert 0.01 * width < slack < 0.05 * width
    # the bound of the paper: epsilon = (ln(1.648 sqrt(n) / delta) / (2 m - 1))^2
    paper = (math.log(1.648 * math.sqrt(4000) / 0.005) / 59) ** 2
    assert slack == pytest.approx(paper * width / (1 - 2 * paper), rel=0.1)
    assert lanczos(diagonal(np.linspace(0, 1, 4000)), start(4000), steps=2).ceiling() == math.inf


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="product 1 with the operator is not finite"):
        lanczos(lambda v: v * math.nan, start(5), steps=3)
    with pytest.raises(ArgumentError, match="start of finite length above 0"):
        lanczos(lambda v: v, torch.zeros(4), steps=3)
    with pytest.raises(ArgumentError, match="probability of failure is in"):
        lanczos(lambda v: v, start(5), steps=2).ceiling(0.0)
