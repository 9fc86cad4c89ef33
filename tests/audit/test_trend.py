import numpy as np
import pytest

from wellposed.audit._trend import trend


def lines(layers, step, examples=32, noise=0.0):
    generator = np.random.default_rng(0)
    logs = 2 * np.log(step) * np.arange(layers)[:, None] + noise * generator.standard_normal(
        (layers, examples)
    )
    return np.exp(logs)


def of(powers, width=64, **kwargs):
    return trend(powers, [width] * len(powers), np.random.default_rng(1), **kwargs)


@pytest.mark.parametrize("step", [0.5, 0.9, 1.0, 1.7])
def test_a_geometric_sequence_is_read_off_exactly(step):
    found = of(lines(11, step))
    assert found.step == pytest.approx(step)
    assert found.total == pytest.approx(max(step, 1 / step) ** 10)
    assert found.interval == pytest.approx((found.total, found.total))
    assert found.jump is None
    np.testing.assert_allclose(found.sizes, step ** np.arange(11))


def test_one_odd_layer_makes_no_trend():
    powers = lines(12, 1.0)
    powers[5] *= 1e-8
    assert of(powers).total == pytest.approx(1)


def test_a_jump_between_layers_is_found_where_it_is():
    powers = lines(12, 1.0)
    powers[:4] *= 1e-8
    found = of(powers)
    assert found.jump == 4
    assert found.total == pytest.approx(1e4)


def test_sizes_beyond_the_range_of_numbers():
    powers = np.full((4, 8), 1e-300)
    powers[2:] = 1e300
    assert of(powers).total == pytest.approx(1e300, rel=1e-6)
    assert of(powers).sizes[[0, 3]] == pytest.approx([1e-150, 1e150])


def test_interval_covers_the_total_of_the_population():
    """Levels of examples differ, and so do their slopes, by 10 %: 200 samples of 64 examples."""
    hits = 0
    layers = np.arange(6)[:, None]
    for seed in range(200):
        generator = np.random.default_rng(seed)
        level = generator.standard_normal(64)
        powers = np.exp(level + layers * (-0.8 + 0.1 * generator.standard_normal(64)))
        low, high = trend(powers, [50] * 6, generator, level=0.9).interval
        # E exp(0.1 s l) = exp(0.005 l^2): a mean log power of -0.8 l + 0.005 l^2
        exact = np.exp(0.5 * 5 * abs(-0.8 + 0.005 * 5))
        hits += low <= exact <= high
    assert hits >= 155  # 0.9 of 200 less 3.5 standard deviations, less a resampling's bias


def test_the_band_holds_for_critical_relu_networks():
    """He's weights at width 12 in 30 layers: one in 100 networks may be beyond the band."""
    beyond, generator = 0, np.random.default_rng(0)
    for _ in range(100):
        x = generator.standard_normal((16, 12))
        rows = []
        for _ in range(30):
            x = np.maximum(x, 0) @ (generator.standard_normal((12, 12)) * np.sqrt(2 / 12))
            rows.append(np.maximum((x**2).sum(1), 1e-12))
        found = of(np.array(rows), width=12)
        beyond += found.total > found.band
    assert beyond <= 5
