import numpy as np
import pytest

from wellposed.pde import TOY_LOSSES, caustic_time, cole_hopf, heat


@pytest.mark.parametrize("name", TOY_LOSSES)
def test_the_box_is_where_something_happens(name):
    toy = TOY_LOSSES[name]
    assert toy.name == name
    grid = toy.grid(201, margin=0.25)
    values = toy.values(grid)
    assert values.shape == grid.shape == (301,) * len(toy.box)
    assert np.isfinite(values).all()
    low, high = toy.grid(201).axes[0][[0, -1]]
    assert (low, high) == toy.box[0]
    # its minimum is inside, and its first time is before the first caustic of its valleys
    place = np.unravel_index(values.argmin(), values.shape)
    assert all(50 < k < 250 for k in place)
    assert min(toy.times) > 0
    assert np.isfinite(caustic_time(values, grid))


def test_the_sharp_valley_is_deepest_until_the_loss_is_relaxed():
    toy = TOY_LOSSES["two-valleys"]
    grid = toy.grid(121, margin=0.5)
    f = toy.values(grid)
    sides = []
    for values in (
        f,
        heat(f, grid, toy.times[-1]).values,
        cole_hopf(f, grid, toy.times[-1], toy.beta).values,
    ):
        place = np.unravel_index(values.argmin(), values.shape)
        sides.append(grid.axes[0][place[0]])
    assert sides[0] < -0.8
    assert sides[1] > 0.5
    assert sides[2] > 0.5
