import math

import pytest
import torch
from torch import nn

from wellposed.audit._statistics import watched


@pytest.fixture
def seen():
    """A normalization, watched over batches of normal numbers of this mean and deviation."""

    def make(norm, batches=50, size=40, mean=0.0, sd=1.0, seed=0):
        generator = torch.Generator().manual_seed(seed)
        with watched(nn.Sequential(norm)) as found:
            for _ in range(batches):
                norm(mean + sd * torch.randn(size, 2, generator=generator))
        return found[0]

    return make


@pytest.mark.parametrize(
    ("momentum", "count", "left"),
    [(0.1, 0, 1.0), (0.1, 10, 0.9**10), (0.0, 5, 1.0), (None, 0, 1.0), (None, 1, 0.0)],
    ids=range(5),
)
def test_initial_values_fade_by_the_momentum(momentum, count, left):
    norm = nn.BatchNorm1d(2, momentum=momentum)
    for _ in range(count):
        norm(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
    with watched(norm) as found:
        pass
    assert found[0].remaining == pytest.approx(left)


def test_the_share_that_remains_is_what_the_running_variance_shows(seen):
    # Of constant batches the variance is 0, so that what is left is the initial 1.
    norm = nn.BatchNorm1d(2)
    for _ in range(7):
        norm(torch.ones(8, 2))
    with watched(norm) as found:
        pass
    assert float(norm.running_var[0]) == pytest.approx(found[0].remaining)


def test_statistics_are_those_of_the_batches_in_closed_form(seen):
    found = seen(nn.BatchNorm1d(2), mean=3.0, sd=2.0)
    assert found.shift[0] == pytest.approx(1.5, abs=0.05)
    assert found.stretch[0] == pytest.approx(math.log(2), abs=0.05)
    assert found.remaining == 0.9**50  # counted now, although watched from the beginning
    assert len(found.means) == 50


def test_what_chance_explains_is_what_chance_does(seen):
    # The running average of a healthy layer is off by chance: its square on average.
    ratios = []
    for seed in range(30):
        norm = nn.BatchNorm1d(2)
        seen(norm, batches=60, seed=seed)
        found = seen(norm, batches=8, seed=1000 + seed)
        ratios.append((found.shift[0] / found.shift[1]) ** 2)
        assert found.shift[0] < 4 * found.shift[1]
        assert found.stretch[0] < 4 * found.stretch[1]
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.4)


def test_only_train_mode_and_running_statistics_are_watched():
    model = nn.Sequential(
        nn.BatchNorm1d(2).eval(), nn.BatchNorm1d(2, track_running_stats=False), nn.LayerNorm(2)
    )
    with watched(model) as found:
        model(torch.randn(4, 2))
    assert [(w.name, len(w.means)) for w in found] == [("0", 0)]
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_pictures_are_taken_by_channel():
    norm = nn.BatchNorm2d(3)
    x = torch.arange(3.0)[None, :, None, None] + torch.zeros(2, 3, 4, 4)
    with watched(norm) as found:
        norm(x)
    assert torch.equal(found[0].means[0], torch.arange(3.0, dtype=torch.float64))
