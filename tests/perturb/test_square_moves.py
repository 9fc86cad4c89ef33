"""The shapes of the square attack's proposals, by hand and by their norms."""

import pytest
import torch

from wellposed.perturb._square_moves import Window, pyramids, square_sides


def window(sides, tops, lefts, width):
    return Window.at(*(torch.tensor(numbers) for numbers in (sides, tops, lefts)), width)


def test_a_window_is_a_square_of_the_image():
    image = torch.arange(40.0).view(1, 1, 40)  # five rows of eight
    found = window([2], [1], [3], 8)
    assert found.seen(image).flatten().tolist() == [11, 12, 19, 20]
    filled = found.filled(image, torch.zeros(1, 1, 4)).view(5, 8)
    assert (filled == 0).nonzero().tolist() == [[0, 0], [1, 3], [1, 4], [2, 3], [2, 4]]


def test_a_smaller_square_shares_the_frame_and_repeats_its_last_row_and_column():
    found = window([3, 1], [0, 2], [0, 2], 4)
    assert found.inside.sum((1, 2)).tolist() == [9, 1]
    image = torch.arange(16.0).view(1, 1, 16).repeat(2, 1, 1)
    assert found.seen(image)[1].unique().tolist() == [10]


def test_every_place_is_drawn_and_none_beyond_the_border():
    image, places = torch.zeros(2000, 1, 4, 6), set()
    numbers = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    found = Window.drawn(torch.full((2000,), 3), numbers, image)
    places = {tuple(divmod(int(p), 6)) for p in found.places[:, 0, 0]}
    assert places == {(top, left) for top in range(2) for left in range(4)}
    assert int(found.places.max()) < 24


@pytest.mark.parametrize(("norm", "sides"), [("linf", [1, 2, 4, 5]), ("l2", [3, 3, 5, 5])])
def test_sides_are_whole_and_outside_the_maximum_norm_odd(norm, sides):
    wanted = torch.tensor([0.2, 2.4, 4.0, 9.0])
    assert square_sides(wanted, torch.zeros(4, 1, 5, 8), norm).tolist() == sides


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("l1", 1)])
@pytest.mark.parametrize("side", [3, 4, 5, 8])
def test_pyramids_have_norm_one_together_and_half_of_it_each(norm, order, side):
    for turned in (False, True):
        pair = pyramids(window([side], [0], [0], side), torch.tensor([turned]), norm)[0]
        assert float(pair.norm(order)) == pytest.approx(1, rel=1e-9)
        up, down = pair.clamp_min(0).norm(order), (-pair).clamp_min(0).norm(order)
        assert float(up) == pytest.approx(float(down), rel=1e-9)


def test_turned_pyramids_are_transposed():
    at = window([5], [0], [0], 5)
    upright, turned = (pyramids(at, torch.tensor([t]), "l2")[0] for t in (False, True))
    torch.testing.assert_close(turned, upright.T)
    assert (upright[:2] >= 0).all()
    assert (upright[2:] <= 0).all()
