import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.perturb import Brightness, Noise, Perturbation, Rotation, factors
from wellposed.perturb._base import Draw

KINDS = [kind for kinds in factors().values() for kind in kinds]


def images(n=6, channels=1, height=16, width=16, dtype=torch.float32):
    """Blobs on a plain ground, at another place in each image."""
    generator = torch.Generator().manual_seed(1)
    y, x = torch.arange(height)[:, None], torch.arange(width)
    at = torch.rand(2, n, channels, 1, 1, generator=generator)
    distance = ((y - at[0] * height) / height) ** 2 + ((x - at[1] * width) / width) ** 2
    return torch.exp(-20 * distance).to(dtype)


@pytest.mark.parametrize("kind", KINDS)
class TestEvery:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
    def test_keeps_shape_and_type_stays_in_range_and_leaves_its_input_alone(self, kind, dtype):
        x = images(dtype=dtype)
        kept = x.clone()
        for severity in range(6):
            y = kind(severity)(x)
            assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
            assert y.min() >= 0
            assert y.max() <= 1
            assert torch.equal(x, kept)
            assert y.data_ptr() != x.data_ptr()

    def test_severity_0_changes_no_bit_and_others_change_more_and_more(self, kind):
        x = images(40, 3, 32, 32)
        assert torch.equal(kind(0)(x), x)
        change = [float((kind(severity)(x) - x).abs().mean()) for severity in range(6)]
        assert all(less < more for less, more in pairwise(change)), change

    def test_depends_on_its_seed_and_on_nothing_else(self, kind):
        x = images()
        torch.manual_seed(3)
        first = kind(3, seed=5)(x)
        state = torch.get_rng_state()
        again = kind(3, seed=5)(x)
        assert torch.equal(first, again)
        assert torch.equal(torch.get_rng_state(), state)
        random = "Not used" not in (kind.__doc__ or "")
        assert torch.equal(first, kind(3, seed=6)(x)) != random

    def test_is_the_same_change_for_single_and_double_precision(self, kind):
        x = images(dtype=torch.float64)
        single, double = kind(3)(x.float()), kind(3)(x)
        assert (single - double).abs().mean() < 1e-5  # a value may round to another JPEG level

    def test_commutes_with_a_change_of_units(self, kind):
        x = images(dtype=torch.float64)
        low, high = -3.0, 5.0
        there = kind(3)(low + (high - low) * x, (low, high))
        back = (there - low) / (high - low)
        torch.testing.assert_close(back, kind(3)(x), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("shape", [(3, 17, 9), (1, 9, 23), (3, 8, 8)])
    def test_takes_odd_and_oblong_images(self, kind, shape):
        channels, height, width = shape
        x = images(4, channels, max(height, kind.least_side), max(width, kind.least_side))
        for severity in (1, 5):
            assert kind(severity)(x).isfinite().all()

    def test_says_which_images_are_too_small(self, kind):
        side = kind.least_side
        assert kind(1)(torch.rand(4, 1, side, side)).isfinite().all()
        if side > 1:
            with pytest.raises(ArgumentError, match=rf"at least {side}x{side} pixels, got 1x40"):
                kind(1)(torch.rand(4, 1, 1, 40))

    def test_an_empty_batch_stays_empty(self, kind):
        assert kind(2)(torch.empty(0, 1, 16, 16)).shape == (0, 1, 16, 16)

    def test_the_fingerprint_tells_every_setting(self, kind):
        prints = {kind(s, seed=seed).sha256 for s in range(6) for seed in (0, 1)}
        assert len(prints) == 12
        assert kind(2, seed=1).sha256 == kind(2, seed=1).sha256

    def test_its_docstring_states_its_scale(self, kind):
        said = " ".join((kind.__doc__ or "").split())
        assert ", ".join(f"{value:g}" for value in kind.scale) in said

    def test_passes_no_gradient(self, kind):
        x = images().requires_grad_()
        assert not kind(2)(x).requires_grad
        assert not kind(0)(x).requires_grad


def test_images_at_equal_places_have_equal_draws_at_all_severities():
    x = torch.full((50, 1, 4, 4), 0.5)
    mild, strong = Noise(1)(x) - 0.5, Noise(2)(x) - 0.5
    small = strong.abs() < 0.45
    assert small.double().mean() > 0.95
    torch.testing.assert_close(2 * mild[small], strong[small], rtol=0, atol=1e-6)


def test_draws_with_another_label_or_seed_are_independent():
    like = torch.empty(0, dtype=torch.float64)
    draws = [Draw(label, seed, like).normal(20_000) for label in "ab" for seed in (0, 1)]
    correlation = torch.corrcoef(torch.stack(draws)) - torch.eye(4)
    assert correlation.abs().max() < 4 / math.sqrt(20_000)
    assert abs(Draw("a", 0, like).sign(20_000).mean()) < 4 / math.sqrt(20_000)


def test_what_rounding_left_outside_the_range_is_taken():
    x = torch.tensor([-1e-6, 0.5, 1 + 1e-6]).view(3, 1, 1, 1)
    assert Brightness(1)(x).min() >= 0


@pytest.mark.parametrize(
    ("inputs", "bounds", "sentence"),
    [
        (torch.rand(4, 10), (0.0, 1.0), r"got shape \(4, 10\); leave it out for other inputs"),
        (torch.rand(4, 0, 3, 3), (0.0, 1.0), r"got shape \(4, 0, 3, 3\)"),
        (torch.ones(4, 1, 8, 8, dtype=torch.uint8), (0.0, 1.0), "got torch.uint8; .* / 255"),
        (torch.rand(4, 1, 8, 8) * 4 - 2, (0.0, 1.0), r"outside their range \[0, 1\]; give raw"),
        (torch.full((1, 1, 8, 8), torch.nan), (0.0, 1.0), "from nan to nan"),
        (torch.rand(4, 1, 8, 8), (1.0, 1.0), "the least and the greatest, got"),
        (torch.rand(4, 1, 8, 8), (0.0, math.inf), "two finite numbers"),
    ],
)
@pytest.mark.wrong_types
def test_refuses_what_is_no_batch_of_raw_images(inputs, bounds, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Rotation(1)(inputs, bounds)


@pytest.mark.parametrize("severity", [-1, 6, 2.5, True])
@pytest.mark.wrong_types
def test_refuses_severities_that_do_not_exist(severity):
    with pytest.raises(ArgumentError, match="severities 0 to 5, got severity="):
        Rotation(severity)


def test_refuses_a_negative_seed():
    with pytest.raises(ArgumentError, match="seed=-1"):
        Rotation(1, seed=-1)


def test_says_what_it_is():
    assert str(Rotation(2)) == "Rotation, degrees 10"
    assert str(Rotation(0)) == "unchanged"


def test_users_write_their_own_and_change_its_severity():
    @dataclass(frozen=True)
    class Negative(Perturbation):
        factor: ClassVar[str] = "film"
        parameter: ClassVar[str] = "share"
        scale: ClassVar[tuple[float, float, float, float, float]] = (0.1, 0.2, 0.3, 0.4, 1.0)

        def _changed(self, x, strength, input_range, _draw, /):
            return (1 - strength) * x + strength * (sum(input_range) - x)

    x = images()
    assert torch.equal(replace(Negative(), severity=5)(x), 1 - x)
